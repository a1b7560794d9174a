"""How a search with a warm start begins: the filter runs once, is written down and shown, and then read back."""

from __future__ import annotations

import io
import logging
from dataclasses import replace
from typing import Any

import pytorch_lightning as pl
from matplotlib.figure import Figure
from omegaconf import DictConfig, OmegaConf

from search_spaces.space import SearchSpace
from supernet.callbacks.monitoring import writer
from supernet.callbacks.progressive import Progressive
from supernet.callbacks.stages import Stages
from supernet.drawing import to_array
from supernet.errors import SettingsError, UserError
from supernet.estimators.base import Task
from supernet.evaluation.workers import MeasuringError
from supernet.files import write_atomically
from supernet.modules.search import SearchModule
from supernet.relaxations.base import Relaxation
from supernet.run import Run
from supernet.selection.base import Selection
from supernet.warm_start import record, scoring
from supernet.warm_start.architectures import pooled
from supernet.warm_start.base import Outcome, WarmStart, dropped
from supernet.warm_start.picture import draw_outcome

log = logging.getLogger("supernet")


def check(
    warm_start: WarmStart, task: Task, relaxation: Relaxation, selection: Selection | None, trainer: pl.Trainer
) -> None:
    """Raise `UserError` for a warm start that does not fit its task, or that the search could not make use of."""
    if warm_start.leaves_pool:
        check_pool("warm start", "warm_start=architectures, which says where the alphas start", selection, trainer)
    if warm_start.moves_alphas and not relaxation.learns:
        raise UserError(
            f"{type(relaxation).__name__} learns no alphas that a warm start could move; use warm_start.kappa=0, and a "
            "share of the operations to drop, as in warm_start.drop=0.3"
        )
    try:
        warm_start.check(task)
    except (TypeError, ValueError) as error:
        raise UserError(f"warm_start: {error}") from error
    if warm_start.idle(task.space):
        raise UserError(
            f"this warm start would drop nothing of {task.space.name}, whatever it found; use a larger "
            "warm_start.drop, warm_start.min_ops=1 where edges have two operations, or warm_start=none"
        )


def check_pool(what: str, instead: str, selection: Selection | None, trainer: pl.Trainer) -> None:
    """Raise `UserError` where a search could not keep to the list of architectures that is left.

    Args:
        what: leaves the list.
        instead: what to use where a list is in the way.
        selection: of the search; None reads the alphas, which ends with an architecture of the list.
        trainer: of the search.
    """
    if selection is not None and not selection.respects_pool:
        raise UserError(
            f"this {what} leaves a list of architectures, and {type(selection).__name__} does not choose from a list; "
            f"use selection=evolution, which does, selection=none, which takes the one of the list that the alphas are "
            f"nearest to, or {instead}"
        )
    if any(isinstance(callback, Progressive | Stages) for callback in trainer.callbacks):  # type: ignore[attr-defined]
        raise UserError(
            f"stages drop operations, but this {what} leaves a list of architectures; use {instead}, or leave the "
            "stages out"
        )


def begin(warm_start: WarmStart, task: Task, run: Run, trainer: pl.Trainer, module: SearchModule) -> Outcome:
    """What the warm start leaves of the task's space: found now, or read from the folder of a run that is resumed.

    ``module`` is the search without a warm start, whose optimizers are tried before any work. A run that is killed in
    here goes on after the last network that it has measured when it is resumed.
    """
    path = run.folder / record.FILE
    run.prepare(module)
    if run.resumed and path.exists():
        outcome = record.load(path, task.space)
    else:
        if not run.resumed:  # of whatever was in the folder before
            (run.folder / scoring.FILE).unlink(missing_ok=True)
        name = str(run.cfg.choices.warm_start)
        log.info("warm start %s: looking at untrained networks", name)
        try:
            with run.interruptible():
                outcome = warm_start(task)
        except ValueError as error:
            raise SettingsError(f"warm_start: {error}") from error
        except MeasuringError as error:
            raise UserError(f"warm_start: {error}") from error
        record.save(run.folder, task.space, outcome, name, settings(run.cfg.warm_start))
        log.info("warm start %s: %s", name, summary(task.space, outcome))
    if outcome.space.pool is not None:  # the supernet has no operation that no architecture has
        outcome = replace(outcome, space=pooled(outcome.space, outcome.space.pool))
    show(run, trainer, "warm_start", draw_outcome(task.space, outcome), summary(task.space, outcome))
    return outcome


def settings(node: DictConfig) -> dict[str, Any]:
    """A configuration as plain values, for a record."""
    found = OmegaConf.to_container(node, resolve=True)
    assert isinstance(found, dict)
    return {str(key): value for key, value in found.items()}


def summary(space: SearchSpace, outcome: Outcome) -> str:
    """One line: how much was dropped in what time, and what."""
    gone = sum(len(pairs) for pairs in dropped(space.allowed, outcome.space.allowed).values())
    pairs = sum(int(table.sum()) for table in space.allowed.values())
    pool = "" if outcome.space.pool is None else f", {len(outcome.space.pool):,} architectures left"
    what = f": {record.describe(space, outcome.space.allowed)}" if gone else ""
    return f"{gone} of {pairs} operations dropped{pool} in {outcome.effort.seconds:.1f} s{what}"


def show(run: Run, trainer: pl.Trainer, name: str, figure: Figure, text: str) -> None:
    """Write the picture into the folder, and picture and text to TensorBoard."""
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    write_atomically(run.folder / f"{name}.png", picture.getvalue())
    board = writer(trainer)
    if board is not None and run.checkpoint is None:  # else TensorBoard has it from before the interruption
        board.add_image(name, to_array(figure), 0, dataformats="HWC")
        board.add_text(name, text, 0)
