"""How a search in a shrunk space begins: it is shrunk once, what is left is written down and shown, then read back."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace

import pytorch_lightning as pl

from search_spaces.architecture import Architecture
from search_spaces.space import SearchSpace
from supernet.beginning import check_pool, settings, show
from supernet.benchmarks.base import Benchmark
from supernet.callbacks.monitoring import writer
from supernet.errors import SettingsError, UserError
from supernet.estimators.base import Task
from supernet.evaluation.choosing import LISTED
from supernet.evaluation.workers import MeasuringError
from supernet.modules.search import SearchModule
from supernet.run import Run
from supernet.selection.base import Selection
from supernet.shrinkage import record, scorer
from supernet.shrinkage.base import Shrinkage, Shrunk
from supernet.shrinkage.report import Report, report
from supernet.warm_start.picture import draw_outcome

log = logging.getLogger("supernet")


def check(shrinkage: Shrinkage, task: Task, selection: Selection | None, trainer: pl.Trainer) -> None:
    """Raise `UserError` for a shrinkage that does not fit its task, or that the search could not make use of."""
    if shrinkage.leaves_pool:
        check_pool("shrinkage", "shrinkage=operations", selection, trainer)
    try:
        shrinkage.check(task)
    except (TypeError, ValueError) as error:
        raise UserError(f"shrinkage: {error}") from error


def begin(
    shrinkage: Shrinkage,
    task: Task,
    run: Run,
    trainer: pl.Trainer,
    module: SearchModule,
    benchmark: Benchmark | None,
) -> Shrunk:
    """What the shrinkage leaves of the task's space: found now, or read from the folder of a run that is resumed.

    ``module`` is the search in the whole space, whose optimizers are tried before any work. A run that is killed in
    here goes on after the last architecture that it has scored when it is resumed.
    """
    path = run.folder / record.FILE
    run.prepare(module)
    if run.resumed and path.exists():
        outcome = record.load(path, task.space)
    else:
        if not run.resumed:  # of whatever was in the folder before
            (run.folder / scorer.FILE).unlink(missing_ok=True)
        name = str(run.cfg.choices.shrinkage)
        log.info("shrinkage %s: looking at architectures", name)
        try:
            with run.interruptible():
                outcome = shrinkage(task)
        except ValueError as error:
            raise SettingsError(f"shrinkage: {error}") from error
        except MeasuringError as error:
            raise UserError(f"shrinkage: {error}") from error
        found = report(task.space, outcome.space, known(task.space, benchmark))
        record.save(run.folder, task.space, outcome, name, settings(run.cfg.shrinkage), found)
        log.info("shrinkage %s: %s", name, summary(task.space, outcome, benchmark))
    frequencies = {cell: table.double() for cell, table in outcome.space.prior().items()}
    figure = draw_outcome(task.space, replace(outcome, scores=outcome.scores or frequencies))
    show(run, trainer, "shrinkage", figure, summary(task.space, outcome, benchmark))
    board = writer(trainer)
    if board is not None and run.checkpoint is None:
        for number, one in enumerate(outcome.rounds):
            board.add_scalar("shrinkage/size", one.size, number)
            board.add_scalar("shrinkage/mean_score", one.mean, number)
            board.add_scalar("shrinkage/distance", one.distance, number)
    return outcome


def known(space: SearchSpace, benchmark: Benchmark | None) -> Mapping[Architecture, float] | None:
    """The accuracy of each architecture on the table's first data set; None without a table, or for a large space."""
    if benchmark is None or space.size() > LISTED:
        return None
    dataset = benchmark.datasets[0]
    return {one: benchmark.query(one, dataset).accuracy for one in space.enumerate()}


def summary(space: SearchSpace, outcome: Shrunk, benchmark: Benchmark | None) -> str:
    """What is left, what it took, how diverse it is and, where there is a table, how good."""
    found = report(space, outcome.space, known(space, benchmark))
    parts = [
        f"{found.size:,} of {found.size_before:,} architectures left in {outcome.effort.seconds:.1f} s",
        f"{outcome.effort.networks:,} scored",
        f"two differ on {found.distance:.1f} edges (of all {found.distance_before:.1f})",
    ]
    return "; ".join([*parts, *_quality(found, benchmark)])


def _quality(found: Report, benchmark: Benchmark | None) -> list[str]:
    if found.quality is None or benchmark is None:
        return []
    quality = found.quality
    shares = ", ".join(f"{100 * kept:.0f} % of the best {100 * share:g} %" for share, kept in quality.retention.items())
    return [
        f"{benchmark.datasets[0]} by the table: mean {quality.mean:.2f} % ({quality.mean_before:.2f}), "
        f"best {quality.best:.2f} % ({quality.best_before:.2f}), with {shares}"
    ]
