"""Going back to an earlier state of a search, and on from there with more weight decay.

The adaptive regularisation (DARTS-ADA) of Zela et al., 2020, arXiv:1909.09656, algorithm 1.
"""

from __future__ import annotations

import copy
import logging
from typing import Any

import pytorch_lightning as pl

from supernet.errors import UserError

log = logging.getLogger("supernet")
ROUNDING = 1e-6  # 3e-4 times 3, four times, is not exactly 243e-4
Snapshot = dict[str, Any]
"""Tensors and plain values, so that it can be a part of a checkpoint."""


class Rollback:
    """Remembers the last states of a search and can go back to one of them, where the next epoch begins.

    An epoch that is undone is trained again in addition to the others: the trainer's epochs count on, while weights,
    alphas, statistics, optimizers and learning rates are those of the earlier epoch.

    Args:
        factor: what the weight decay of the weights is multiplied by each time.
        largest: the largest weight decay; with it, there is no going back any more.
        keep: how many states are remembered.
    """

    def __init__(self, factor: float, largest: float, keep: int) -> None:
        if not factor > 1:
            raise ValueError(f"factor is {factor}: it must be greater than 1")
        self.factor, self.largest, self.keep = factor, largest, keep
        self.state: dict[str, Any] = {"snapshots": {}, "target": None, "floor": 0, "extra": 0}

    def start(self, trainer: pl.Trainer) -> None:
        """Make room for the epochs that were undone. Raises `UserError` where there is no weight decay to multiply."""
        if not all(group.get("weight_decay") for group in trainer.optimizers[0].param_groups):
            raise UserError(
                "callbacks.eigenvalue.adaptive multiplies the weight decay of the weights, which is 0; "
                "set weight_optimizer.weight_decay"
            )
        self._extend(trainer, self.state["extra"])

    def plan(self, trainer: pl.Trainer, number: int, epochs: int) -> None:
        """Go back to state ``number``, so many epochs ago, when the next epoch begins; see `largest` and `floor`."""
        decay = trainer.optimizers[0].param_groups[0]["weight_decay"]
        if number >= self.state["floor"] and self.factor * decay <= self.largest * (1 + ROUNDING):
            self.state["target"] = number
            self.state["extra"] += epochs
            self._extend(trainer, epochs)

    def begin_epoch(self, trainer: pl.Trainer, module: pl.LightningModule, number: int) -> int:
        """Remember the current state as ``number``, or go where `plan` said; the number of the state from now on."""
        snapshots, target = self.state["snapshots"], self.state["target"]
        if number not in snapshots:
            snapshots[number] = take(trainer, module)
        if target is None:
            self.state["snapshots"] = {n: kept for n, kept in snapshots.items() if n > number - self.keep}
            return number
        decays = [self.factor * group["weight_decay"] for group in trainer.optimizers[0].param_groups]
        restore(trainer, module, snapshots[target])
        for group, decay in zip(trainer.optimizers[0].param_groups, decays, strict=True):
            group["weight_decay"] = decay
        self.state |= {"snapshots": {target: snapshots[target]}, "target": None, "floor": target}
        log.info("epoch %d: gone back, now with weight decay %g", trainer.current_epoch + 1, decays[0])
        return int(target)

    @staticmethod
    def _extend(trainer: pl.Trainer, epochs: int) -> None:
        assert trainer.max_epochs is not None
        trainer.fit_loop.max_epochs = trainer.max_epochs + epochs


def take(trainer: pl.Trainer, module: pl.LightningModule) -> Snapshot:
    """Weights, alphas, statistics, and the state of optimizers and learning rates: a copy."""
    return copy.deepcopy(
        {
            "module": dict(module.state_dict()),
            "optimizers": [optimizer.state_dict() for optimizer in trainer.optimizers],
            "schedulers": [config.scheduler.state_dict() for config in trainer.lr_scheduler_configs],
        }
    )


def restore(trainer: pl.Trainer, module: pl.LightningModule, snapshot: Snapshot) -> None:
    """Go back to it; the snapshot stays as it is, also when training goes on."""
    snapshot = copy.deepcopy(snapshot)  # an optimizer would go on with the very tensors it is given
    module.load_state_dict(snapshot["module"])
    for optimizer, state in zip(trainer.optimizers, snapshot["optimizers"], strict=True):
        optimizer.load_state_dict(state)
    for config, state in zip(trainer.lr_scheduler_configs, snapshot["schedulers"], strict=True):
        config.scheduler.load_state_dict(state)
