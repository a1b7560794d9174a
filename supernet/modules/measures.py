"""What a search measures of itself: losses and accuracies of both halves, and of what validation judges."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, cast

import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics import Metric
from torchmetrics.classification import MulticlassAccuracy

from supernet import averages

LEVELS = ("weights", "alphas")  # the training half moves the weights, the validation half the alphas
COSINE = "alpha/gradient_cosine"

Seen = dict[str, tuple[Tensor, Tensor]]
"""The first loss and logits of each half in a step."""


class Measures(nn.Module):
    """Means over the epoch, which the trainer reads in its end, and the values of the newest step.

    Args:
        classes: how many there are.

    Attributes:
        newest: the last value of everything that is measured in a single step of this epoch, on the device.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        metric = functools.partial(MulticlassAccuracy, classes, average="micro", validate_args=False)
        self.accuracies = nn.ModuleDict({name: metric() for name in (*LEVELS, "supernet", "discretized")})
        self.losses = nn.ModuleDict({name: averages.Mean() for name in (*LEVELS, "supernet")})
        self.cosine = averages.Mean()
        self.newest: dict[str, Tensor] = {}
        self._measured: list[str] = []  # the levels with a mean in this epoch, and the cosine
        self._told: list[str] = []  # those of them that the trainer knows of

    def begin(self) -> None:
        """Forget the epoch before; of one that is resumed in its midst there are means already."""
        self.newest, self._told = {}, []
        first = {level: self._loss(level) for level in LEVELS} | {COSINE: self.cosine}
        self._measured = [name for name, mean in first.items() if bool(mean.steps)]

    def step(self, seen: Seen, labels: Mapping[str, Tensor]) -> None:
        """Add what was seen in a step, by level."""
        for level, (loss, logits) in seen.items():
            self.newest[f"step/loss_{level}"] = loss
            self._loss(level).update(loss)
            self._accuracy(level).update(logits, labels[level])
            self._note(level)

    def turned(self, cosine: Tensor) -> None:
        """Add the cosine of the angle by which half precision turns the alphas' gradients in a step."""
        self.cosine.update(cosine)
        self._note(COSINE)

    def _note(self, name: str) -> None:
        if name not in self._measured:
            self._measured.append(name)

    def tell(self, log: Callable[..., Any], values: bool) -> None:
        """Log what somebody reads: a call takes as long as some layers, and a bar's values a wait for the device.

        The trainer reads the means at the end of the epoch, so it needs to know of each once; the ``values`` of a step
        are for the logger, every so many of them. `supernet.callbacks.progress` looks at `newest` when it needs them.
        """
        for name in (name for name in self._measured if name not in self._told):
            if name == COSINE:
                log(COSINE, self.cosine, on_step=False, on_epoch=True)
            else:
                log(f"loss/{name}", self._loss(name), on_step=False, on_epoch=True)
                log(f"accuracy/{name}", self._accuracy(name), on_step=False, on_epoch=True, prog_bar=True)
            self._told.append(name)
        if values:
            for name, value in self.newest.items():
                log(name, value)

    def judge(self, supernet: Tensor, discretized: Tensor, labels: Tensor) -> None:
        """Add a batch of the validation: the logits of both."""
        self._loss("supernet").update(F.cross_entropy(supernet, labels), len(labels))
        self._accuracy("supernet").update(supernet, labels)
        self._accuracy("discretized").update(discretized, labels)

    def judgement(self) -> dict[str, Tensor]:
        """Of the whole validation, by the names in the log; the next one begins anew."""
        found = {
            "loss/supernet": self._loss("supernet").compute(),
            "accuracy/supernet": self._accuracy("supernet").compute(),
            "accuracy/discretized": self._accuracy("discretized").compute(),
        }
        found["accuracy/discretization_gap"] = found["accuracy/supernet"] - found["accuracy/discretized"]
        metrics: list[Metric] = [self._loss("supernet"), self._accuracy("supernet"), self._accuracy("discretized")]
        for metric in metrics:
            metric.reset()
        return found

    def _accuracy(self, name: str) -> MulticlassAccuracy:
        return cast(MulticlassAccuracy, self.accuracies[name])

    def _loss(self, name: str) -> averages.Mean:
        return cast(averages.Mean, self.losses[name])
