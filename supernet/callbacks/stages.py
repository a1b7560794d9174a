"""The stages of P-DARTS: deeper supernets with fewer operations, each trained anew.

Chen, Xie, Wu and Tian, "Progressive Differentiable Architecture Search", 2019, arXiv:1904.12760, section 3.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any

import pytorch_lightning as pl

from search_spaces.operations import Identity
from supernet.callbacks.progressive import begins, check_epochs, check_learns, check_stages, strongest, try_stage
from supernet.modules.search import SearchModule

log = logging.getLogger("supernet")
DECAY = 0.2  # of the dropout on skip connections, an epoch, after the warm-up (the published code)


class Stages(pl.Callback):
    """Where a stage begins, the weakest operations go and a new supernet starts from new weights and alphas.

    On skip connections a dropout, which fades, keeps a young supernet from relying on them.

    Args:
        stages: for each stage after the first ``at``, the share of the search that is done when it begins, ``keep``,
            how many operations stay on each edge, ``space``, arguments of the search space from then on, such as its
            depth, and ``skip_dropout``, the rate at its beginning.
        skip_dropout: the rate at the beginning of the first stage.
    """

    def __init__(self, stages: Sequence[Mapping[str, Any]], skip_dropout: float = 0.0) -> None:
        self.stages = [{**stage, "space": dict(stage.get("space") or {})} for stage in stages]
        check_stages(self.stages, known={"at", "keep", "space", "skip_dropout"})
        rates = [skip_dropout, *(stage.get("skip_dropout", 0.0) for stage in self.stages)]
        if not all(0 <= rate < 1 for rate in rates):
            raise ValueError(f"skip_dropout {rates}: a rate must be at least 0 and less than 1")
        self.skip_dropout = skip_dropout

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Refuse what cannot work before any step."""
        check_learns(pl_module)
        assert isinstance(pl_module, SearchModule)
        check_epochs(self.stages, trainer, pl_module.warmup_epochs)
        arguments: dict[str, Any] = {}
        for stage in self.stages:
            arguments |= stage["space"]
            try_stage(pl_module.space, pl_module.partial_channels, arguments)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin a stage, if one begins with this epoch, and set the dropout of the epoch."""
        assert isinstance(pl_module, SearchModule)
        for stage in self.stages:
            if begins(stage, trainer) and pl_module.stage_start < trainer.current_epoch:
                space = pl_module.space
                allowed = strongest(space, pl_module.mixture(), stage["keep"])
                deeper = space.resized(**stage["space"])
                pl_module.rebuild(deeper.restrict(allowed), fresh=True, stage=trainer.current_epoch)
                log.info(
                    "epoch %d: a new stage with at most %d operations an edge, %s",
                    trainer.current_epoch + 1, stage["keep"], stage["space"] or "the same depth",
                )  # fmt: skip
        rate = self.rate(trainer.current_epoch, pl_module, trainer.max_epochs or 0)
        for layer in pl_module.network.modules():
            if isinstance(layer, Identity):
                layer.dropout = rate

    def rate(self, epoch: int, module: SearchModule, epochs: int) -> float:
        """The dropout of an epoch: linear in the warm-up, as the published code has it, then exponential."""
        starts = [0, *(round(stage["at"] * epochs) for stage in self.stages), epochs]
        rates = [self.skip_dropout, *(stage.get("skip_dropout", 0.0) for stage in self.stages)]
        number = max(index for index, start in enumerate(starts[:-1]) if start <= epoch)
        length, inside = starts[number + 1] - starts[number], epoch - starts[number]
        if inside < module.warmup_epochs:
            return float(rates[number]) * (length - inside - 1) / length
        return float(rates[number]) * math.exp(-DECAY * (inside - module.warmup_epochs))
