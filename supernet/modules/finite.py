"""What happens when a gradient is not finite: the run ends with the batch named, or leaves a few such batches out."""

from __future__ import annotations

import logging

import torch
from torch import Tensor

from supernet.errors import UserError

log = logging.getLogger("supernet")
EVERY = 50  # norms that are read at once from a device
ADVICE = (
    "resume= would come to the same; start anew with a smaller learning rate, clip=5 or trainer.precision=32-true, or "
    "leave such batches out with max_skipped_steps=<number>"
)


class Guard:
    """Looks at the norm of every gradient, which is the same in all processes.

    Without skips it reads a device's norms only every so many steps, all at once, so that no step waits; an error
    names the first that was not finite all the same. With skips it has to read each before the optimizer's step.

    Args:
        skips: how many batches may be left out in a run; with 0 the first one ends it.

    Attributes:
        skipped: how many were left out so far.
    """

    def __init__(self, skips: int = 0) -> None:
        self.skips = skips
        self.skipped = 0
        self._noted: list[tuple[str, int, int, Tensor]] = []

    def refuses(self, what: str, norm: Tensor, epoch: int, batch: int) -> bool:
        """Whether the step with a gradient of this norm must be left out.

        Args:
            what: whose gradient it is, for messages.
            norm: of the whole gradient.
            epoch: counted from 0.
            batch: within it, from 0.

        Raises `UserError` for the first gradient that is not finite, or the first beyond `skips`.
        """
        if not self.skips:
            self._noted.append((what, epoch, batch, norm.detach()))
            if norm.device.type == "cpu" or len(self._noted) >= EVERY:
                self.check()
            return False
        if bool(torch.isfinite(norm)):
            return False
        self.skipped += 1
        message = _message(what, epoch, batch)
        if self.skipped > self.skips:
            raise UserError(f"{message}, the one after {self.skips} that were left out; {ADVICE}")
        log.warning("%s; it is left out (%d of at most %d)", message, self.skipped, self.skips)
        return True

    def check(self) -> None:
        """Read what was noted. Raises `UserError` for the first gradient that is not finite."""
        noted, self._noted = self._noted, []
        if not noted:
            return
        finite = torch.isfinite(torch.stack([norm for *_, norm in noted])).tolist()
        if not all(finite):
            what, epoch, batch, _ = noted[finite.index(False)]
            raise UserError(f"{_message(what, epoch, batch)}; {ADVICE}")


def _message(what: str, epoch: int, batch: int) -> str:
    return f"epoch {epoch + 1}, batch {batch + 1}: the gradient of the {what} is not finite"
