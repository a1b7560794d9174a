"""What TensorBoard shows of the architecture while it is searched."""

from __future__ import annotations

import logging
import time
from typing import Any

import pytorch_lightning as pl
import torch
from torch.utils.tensorboard import SummaryWriter

from search_spaces.architecture import Architecture
from supernet.benchmarks.base import Benchmark
from supernet.drawing import draw_genotype, draw_weights, to_array
from supernet.modules.search import SearchModule

log = logging.getLogger("supernet")


def batches_done(trainer: pl.Trainer) -> int:
    """The x axis of every chart: optimizer steps would count a batch twice, once for each optimizer."""
    return trainer.fit_loop.epoch_loop._batches_that_stepped


def writer(trainer: pl.Trainer) -> SummaryWriter | None:
    """TensorBoard's writer, None where TensorBoard is off or another process writes."""
    if not trainer.is_global_zero:
        return None
    found = [logger.experiment for logger in trainer.loggers if isinstance(logger, pl.loggers.TensorBoardLogger)]
    return found[0] if found else None


class ArchitectureMonitor(pl.Callback):
    """After every epoch: entropy, margin and heat map of the mixing weights, the genotype, and its true accuracy.

    ``alpha/<cell>/entropy`` is the mean over edges of ``-sum p ln p``, with p the shares of an edge's operations in it;
    ``alpha/<cell>/margin`` the mean difference between the two largest shares; ``alpha/changed_edges`` the edges whose
    choice is not that of the epoch before; ``genotype/skip_share`` the share of skip connections;
    ``benchmark/<dataset>`` the table's accuracy in percent, which is never fed back into the search. The genotype is
    shown, as text and as a drawing, when it changes.

    Args:
        benchmark: a table that knows the space, None without one.
    """

    def __init__(self, benchmark: Benchmark | None = None) -> None:
        self.benchmark = benchmark or None  # benchmark=none arrives as an empty configuration
        self.last: Architecture | None = None
        self._start = 0.0
        self._steps = 0  # since then; the trainer counts the last one of an epoch after the validation

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock."""
        self._start, self._steps = time.perf_counter(), 0

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        """Count."""
        self._steps += 1

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note the mean time of a step, without waiting for the device in any of them."""
        if self._steps and not trainer.sanity_checking:
            pl_module.log("time/step", (time.perf_counter() - self._start) / self._steps)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the epoch."""
        assert isinstance(pl_module, SearchModule)
        space, mixture, genotype = pl_module.space, pl_module.mixture(), pl_module.genotype()
        for cell, weights in pl_module.alphas.mean().weights.items():
            shares = weights / weights.sum(dim=1, keepdim=True).clamp_min(torch.finfo(weights.dtype).tiny)
            entropy = torch.special.entr(shares).sum(dim=1).mean()
            best = shares.topk(2, dim=1).values
            pl_module.log(f"alpha/{cell}/entropy", entropy)
            pl_module.log(f"alpha/{cell}/margin", (best[:, 0] - best[:, 1]).mean())
        pl_module.log("alpha/changed_edges", float(genotype.distance(self.last)) if self.last else 0.0)
        names = [space.operations[cell][choice] for cell, row in genotype.choices for choice in row if choice >= 0]
        skips = names.count("skip_connect") / max(1, len(names))
        pl_module.log("genotype/skip_share", skips)
        if self.benchmark is not None:
            for dataset in self.benchmark.datasets:
                pl_module.log(f"benchmark/{dataset}", self.benchmark.query(genotype, dataset).accuracy)

        # The number of the last batch, where self.log puts the epoch's scalars too: after a resume, points from the
        # next batch on are hidden.
        board, step = writer(trainer), batches_done(trainer) - 1
        if board is not None:
            for cell, weights in mixture.items():
                figure = draw_weights(weights, space.edges[cell], space.operations[cell])
                board.add_image(f"alpha/{cell}", to_array(figure), step, dataformats="HWC")
        if genotype != self.last:
            if skips > 0.5:
                log.warning("epoch %d: %.0f %% of the edges are skips", trainer.current_epoch + 1, 100 * skips)
            if board is not None:
                board.add_text("genotype", f"epoch {trainer.current_epoch + 1}: `{space.format(genotype)}`", step)
                figure = draw_genotype(space.edges, space.operations, genotype)
                board.add_image("genotype", to_array(figure), step, dataformats="HWC")
            self.last = genotype

    def state_dict(self) -> dict[str, Any]:
        """The genotype shown last, as plain values."""
        return {"last": None if self.last is None else [[cell, list(row)] for cell, row in self.last.choices]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from there."""
        last = state_dict["last"]
        self.last = None if last is None else Architecture.of(dict(last))
