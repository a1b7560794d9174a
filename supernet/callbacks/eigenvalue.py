"""RobustDARTS: stop, or regularise more, when the curvature of the validation loss in the alphas rises.

Zela, Elsken, Saikia, Marrakchi, Brox and Hutter, "Understanding and Robustifying Differentiable Architecture Search",
2020, arXiv:1909.09656, sections 4 and 5; the numbers are those of the published code.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

import pytorch_lightning as pl

from search_spaces.architecture import Architecture
from supernet.callbacks.curvature import curvature
from supernet.callbacks.progressive import Progressive
from supernet.callbacks.rise import Rise
from supernet.callbacks.rollback import Rollback
from supernet.callbacks.stages import Stages
from supernet.callbacks.stopping import Stopping
from supernet.data.loading import Batch
from supernet.data.modules import SearchData
from supernet.errors import UserError
from supernet.modules.search import SearchModule


class EigenvalueStop(Stopping):
    """Logs ``hessian/eigenvalue``, and ends the search with the architecture from before it rose.

    It is the `curvature` on the first batches of the validation data: the same ones every time, so that a rise is one
    of the search. A new stage (DrNAS, P-DARTS) is another function and begins a new series.

    Args:
        every: epochs between two evaluations.
        batches: batches that the loss is averaged over.
        tolerance: see `supernet.hessian.largest_eigenvalue`.
        window: see `Rise`.
        delta: see `Rise`.
        threshold: see `Rise`; None only measures.
        earliest: the first epoch, counted from 0, whose architecture may be the result.
        adaptive: instead of ending, go back to the epoch before the rise and on from there with a larger weight decay
            of the weights (DARTS-ADA). The epochs gone back are trained again, in addition to the others. With the
            largest weight decay the search runs to its end.
        factor: what the weight decay is multiplied by.
        largest: the largest weight decay.
    """

    def __init__(
        self,
        every: int = 1,
        batches: int = 1,
        tolerance: float = 1e-3,
        window: int = 5,
        delta: int = 4,
        threshold: float | None = 1.3,
        earliest: int = 10,
        adaptive: bool = False,
        factor: float = 3.0,
        largest: float = 243e-4,
    ) -> None:
        for name, value, least in (("every", every, 1), ("batches", batches, 1), ("earliest", earliest, 0)):
            if value < least:
                raise ValueError(f"{name} is {value}: it must be at least {least}")
        if tolerance < 0:
            raise ValueError(f"tolerance is {tolerance}: it must not be negative")
        if adaptive and threshold is None:
            raise ValueError("adaptive needs a threshold")
        self.every, self.batches, self.tolerance, self.earliest = every, batches, tolerance, earliest
        self.rise = None if threshold is None else Rise(window, delta, threshold)
        self.rollback = Rollback(factor, largest, self.rise.reach + 1) if adaptive and self.rise else None
        self.stage = 0
        self.epochs: list[int] = []  # of the evaluations
        self.values: list[float] = []
        self.genotypes: list[str] = []

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Refuse what cannot work before any step."""
        super().on_fit_start(trainer, pl_module)
        if self.rollback is not None:
            for callback in trainer.callbacks:  # type: ignore[attr-defined]
                if isinstance(callback, Progressive | Stages):
                    raise UserError(
                        f"callbacks.eigenvalue.adaptive goes back to earlier epochs, which {type(callback).__name__} "
                        "cannot; leave one of them out"
                    )
            self.rollback.start(trainer)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """If adaptive, remember the state that the last evaluation saw, or go back to an earlier one."""
        if self.rollback is not None and self.values and not trainer.fit_loop.restarted_mid_epoch:
            number = self.rollback.begin_epoch(trainer, pl_module, len(self.values) - 1)
            self._keep(number + 1)

    def result(self, trainer: pl.Trainer, module: SearchModule) -> Architecture | None:
        """Evaluate; the architecture from before a rise, if there is one."""
        if trainer.current_epoch % self.every:
            return None
        if module.stage_start != self.stage:
            self.stage = module.stage_start
            self._keep(0)
        value = curvature(module, list(itertools.islice(self._batches(trainer), self.batches)), self.tolerance)
        module.log("hessian/eigenvalue", value)
        self.epochs.append(trainer.current_epoch)
        self.values.append(value)
        self.genotypes.append(module.space.format(module.genotype()))
        before = None if self.rise is None else self.rise(self.values)
        if before is None or self.epochs[before] < self.earliest or module.found is not None:
            return None
        if self.rollback is None:
            return module.space.parse(self.genotypes[before])
        self.rollback.plan(trainer, before, self.every * (len(self.values) - 1 - before))
        return None

    @staticmethod
    def _batches(trainer: pl.Trainer) -> Iterable[Batch]:
        """The same whole batches in every process."""
        data = trainer.datamodule  # type: ignore[attr-defined]
        if isinstance(data, SearchData):
            return data.images.batches("valid", shuffle=True)
        assert trainer.val_dataloaders is not None
        return trainer.val_dataloaders

    def _keep(self, count: int) -> None:
        for series in (self.epochs, self.values, self.genotypes):
            del series[count:]

    def state_dict(self) -> dict[str, Any]:
        """The evaluations so far and, if adaptive, the states that may be gone back to."""
        return {
            "stage": self.stage, "epochs": self.epochs, "values": self.values, "genotypes": self.genotypes,
            "rollback": None if self.rollback is None else self.rollback.state,
        }  # fmt: skip

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from there."""
        self.stage, self.epochs = state_dict["stage"], state_dict["epochs"]
        self.values, self.genotypes = state_dict["values"], state_dict["genotypes"]
        if self.rollback is not None and state_dict["rollback"] is not None:
            self.rollback.state = state_dict["rollback"]
