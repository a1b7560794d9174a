"""Ending a search early, with a result of one's own, such that an interruption makes no difference."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod

import pytorch_lightning as pl

from search_spaces.architecture import Architecture
from supernet.callbacks.progressive import check_learns
from supernet.modules.search import SearchModule

log = logging.getLogger("supernet")


class Stopping(pl.Callback, ABC):
    """Looks at the search after every epoch and may end it.

    The result is a part of the module and so of the checkpoint of that very epoch. A search that has one stays ended:
    where it was killed before it could write its genotype, a resumed one trains no further. Of several such callbacks
    the first decides. Epochs of a warm-up are passed over, because their alphas say nothing yet.
    """

    @abstractmethod
    def result(self, trainer: pl.Trainer, module: SearchModule) -> Architecture | None:
        """What to end the search with after this epoch; None to go on."""

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Refuse a search without alphas; do not go on with one that has ended."""
        check_learns(pl_module)
        assert isinstance(pl_module, SearchModule)
        if pl_module.found is not None:
            trainer.should_stop = True

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Ask for a result."""
        assert isinstance(pl_module, SearchModule)
        if trainer.current_epoch - pl_module.stage_start < pl_module.warmup_epochs:
            return
        found = self.result(trainer, pl_module)
        if found is not None and pl_module.found is None:
            pl_module.found = found
            trainer.should_stop = True
            log.info(
                "epoch %d: %s ends the search with %s",
                trainer.current_epoch + 1, type(self).__name__, pl_module.space.short(found),
            )  # fmt: skip
