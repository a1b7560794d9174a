"""Progressive learning: at certain epochs the weakest operations go and more channels take part.

Chen, Wang, Cheng, Tang and Hsieh, "DrNAS: Dirichlet Neural Architecture Search", 2021, arXiv:2006.10355, section 3.3.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from search_spaces.space import SearchSpace
from supernet.errors import UserError
from supernet.modules.search import SearchModule
from supernet.schedulers import StagedCosine

log = logging.getLogger("supernet")


class Progressive(pl.Callback):
    """Prunes and widens the supernet where a stage begins; weights, alphas and optimizer states are carried over.

    A stage begins a new warm-up of ``warmup_epochs``. What it does follows from the alphas alone, so that a resumed
    search does the same.

    Args:
        stages: for each stage after the first ``at``, the share of the search that is done when it begins, ``keep``,
            how many operations stay on each edge, and ``partial_channels`` from then on.
        rescale: divide the weights of a repeated channel by how often it is repeated, which the published code does
            not.
    """

    def __init__(self, stages: Sequence[Mapping[str, float]], rescale: bool = False) -> None:
        self.stages = [dict(stage) for stage in stages]
        check_stages(self.stages, known={"at", "keep", "partial_channels"})
        self.rescale = rescale

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Refuse what cannot work before any step."""
        check_learns(pl_module)
        parts = [int(stage.get("partial_channels", 0)) for stage in self.stages]
        assert isinstance(pl_module, SearchModule)
        for before, after in zip([pl_module.partial_channels, *parts], parts, strict=False):
            if after > before > 0:
                raise UserError(
                    f"partial_channels={after} after {before}: a stage can only let more channels take part"
                )
        check_epochs(self.stages, trainer, pl_module.warmup_epochs)
        for part in filter(None, parts):
            try_stage(pl_module.space, part)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin a stage, if one begins with this epoch."""
        assert isinstance(pl_module, SearchModule)
        for stage in self.stages:
            if begins(stage, trainer) and pl_module.stage_start < trainer.current_epoch:
                space = pl_module.space
                allowed = strongest(space, pl_module.mixture(), int(stage["keep"]))
                parts = int(stage.get("partial_channels", pl_module.partial_channels))
                pl_module.rebuild(space.restrict(allowed), parts, rescale=self.rescale, stage=trainer.current_epoch)
                log.info(
                    "epoch %d: a new stage with at most %d operations an edge, 1/%d of the channels",
                    trainer.current_epoch + 1, stage["keep"], parts,
                )  # fmt: skip


def strongest(space: SearchSpace, weights: Mapping[str, Tensor], keep: int) -> dict[str, Tensor]:
    """The table that leaves on each edge the ``keep`` allowed operations of the largest weight.

    An edge whose strongest operations are none that an architecture may have keeps the strongest that it may, too.
    """
    kept = {}
    for cell, table in space.allowed.items():
        known = weights[cell].detach().cpu()
        ranked = known.masked_fill(~table, -torch.inf).topk(min(keep, table.shape[1]), dim=1).indices
        kept[cell] = torch.zeros_like(table).scatter(1, ranked, True) & table
        candidates = space.candidates(cell)
        best = known.masked_fill(~candidates, -torch.inf).argmax(dim=1, keepdim=True)
        lost = candidates.any(dim=1) & ~(kept[cell] & candidates).any(dim=1)
        kept[cell] |= torch.zeros_like(table).scatter(1, best, True) & lost[:, None]
    return kept


def begins(stage: Mapping[str, float], trainer: pl.Trainer) -> bool:
    """Whether a stage begins with the current epoch."""
    return trainer.current_epoch == round(stage["at"] * (trainer.max_epochs or 0))


def check_stages(stages: Sequence[Mapping[str, object]], known: set[str]) -> None:
    """Raise ValueError for stages out of order, without operations or with settings that do not exist."""
    last = 0.0
    for stage in stages:
        if not {"at", "keep"} <= set(stage) <= known:
            raise ValueError(f"stage {dict(stage)}: a stage has {', '.join(sorted(known))}")
        at, keep = stage["at"], stage["keep"]
        if not (isinstance(at, int | float) and last < at < 1):
            raise ValueError(f"stage at={at}: it must lie between the stage before ({last}) and 1")
        if not (isinstance(keep, int) and keep >= 1):
            raise ValueError(f"stage keep={keep}: at least one operation must stay on an edge")
        last = float(at)


def check_epochs(stages: Sequence[Mapping[str, Any]], trainer: pl.Trainer, warmup: int) -> None:
    """Raise `UserError` where a stage has no epochs after its warm-up, or where the learning rate has other stages."""
    epochs = trainer.max_epochs or 0
    starts = [0, *(round(float(stage["at"]) * epochs) for stage in stages), epochs]
    if any(after <= before for before, after in itertools.pairwise(starts)):
        raise UserError(
            f"with epochs={epochs} the stages would begin with epochs {[start + 1 for start in starts[:-1]]}, and each "
            "needs at least one; use more epochs, or other values of `at`"
        )
    shortest = min(after - before for before, after in itertools.pairwise(starts))
    if shortest <= warmup:
        raise UserError(
            f"with epochs={epochs} a stage has {shortest} of them, and warmup_epochs={warmup} of each stage leave none "
            "for the alphas, by which operations are dropped; use more epochs, or a shorter warm-up"
        )
    for config in trainer.lr_scheduler_configs:
        if isinstance(config.scheduler, StagedCosine) and config.scheduler.starts != starts:
            theirs = [start + 1 for start in config.scheduler.starts[:-1]]
            raise UserError(
                f"the stages begin with epochs {[start + 1 for start in starts[:-1]]}, but those of the learning rate "
                f"with {theirs}; set scheduler.stages={len(stages) + 1} and equal distances in `at`"
            )


def try_stage(space: SearchSpace, partial_channels: int, arguments: Mapping[str, Any] | None = None) -> None:
    """Raise `UserError` where the supernet of a later stage cannot be built."""
    try:
        with torch.random.fork_rng(devices=[]):
            space.resized(**(arguments or {})).supernet(partial_channels)
    except (TypeError, ValueError) as error:
        raise UserError(f"a stage cannot be built: {error}") from error


def check_learns(module: pl.LightningModule) -> None:
    """Raise `UserError` for a search whose alphas say nothing."""
    assert isinstance(module, SearchModule)
    if not module.relaxation.learns:
        raise UserError(
            f"{type(module.relaxation).__name__} has no alphas that could tell which operations are weak; "
            "use another relaxation"
        )
