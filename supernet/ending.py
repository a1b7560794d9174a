"""How a search ends: what it may be judged by, and the choice of an architecture, which is made once."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping
from dataclasses import replace

import pytorch_lightning as pl
import torch
from omegaconf import DictConfig

from search_spaces.architecture import Architecture
from search_spaces.errors import ArchitectureError
from search_spaces.space import SearchSpace
from supernet.callbacks.monitoring import writer
from supernet.data.images import Images
from supernet.drawing import draw_genotype, to_array
from supernet.errors import UserError
from supernet.estimators.base import Task
from supernet.genotype import FILE, Genotype
from supernet.modules.search import OBJECTIVES, SearchModule
from supernet.relaxations.base import Relaxation
from supernet.run import Run
from supernet.selection.base import RECORDS, Selected, Selection
from supernet.selection.journal import recorded_seconds
from supernet.shrinkage.base import Shrinkage

log = logging.getLogger("supernet")
PREFIX = "selection/"
SECONDS = PREFIX + "seconds"


def check(
    cfg: DictConfig, relaxation: Relaxation, selection: Selection | None, shrinkage: Shrinkage | None = None
) -> None:
    """Raise `UserError` where nothing could be chosen in the end, or the objective would not be measured."""
    name = cfg.choices.selection
    needed = "use epochs=1 or more, or a selection that needs no training, such as selection=sample"
    if selection is None and not cfg.epochs:
        raise UserError(f"epochs=0 trains no supernet that an architecture could be read from; {needed}")
    if selection is not None and selection.needs_training and not cfg.epochs:
        raise UserError(f"selection={name} judges by a trained supernet, and epochs=0 trains none; {needed}")
    if selection is not None and not selection.needs_training and cfg.epochs:
        log.warning("selection=%s does not look at the supernet that is trained first; epochs=0 leaves that out", name)
    if selection is not None and not selection.decodes and cfg.search_space.get("max_skips") is not None:
        raise UserError(
            f"search_space.max_skips={cfg.search_space.max_skips} belongs to the rule by which alphas are read, and "
            f"selection={name} does not read them; use selection=none or search_space.max_skips=null"
        )
    respected = (selection is not None and selection.respects_constraint) or (
        shrinkage is not None and shrinkage.leaves_pool
    )
    if cfg.get("constraint") and not respected:
        raise UserError(
            f"constraint={cfg.choices.constraint} is for selections that choose among architectures, such as "
            f"selection=sample or evolution, and selection={name} does not; shrinkage=lissnas leaves only "
            "architectures that satisfy it, and the loss of the alphas has cost="
        )
    if not relaxation.learns and selection is None:
        raise UserError(
            f"relaxation={cfg.choices.relaxation} learns no alphas to read an architecture from; "
            "use selection=evolution or selection=perturbation"
        )
    if selection is None and cfg.epochs and cfg.warmup_epochs >= cfg.epochs:
        raise UserError(
            f"warmup_epochs={cfg.warmup_epochs} leaves none of epochs={cfg.epochs} for the alphas, by which the "
            "architecture is chosen; use fewer of those, or more of these"
        )
    there = [*(OBJECTIVES if cfg.epochs else ()), *(selection.measures if selection else ())]
    if cfg.objective not in there:
        raise UserError(
            f"objective={cfg.objective} is not measured in this search; "
            + (f"there are {', '.join(there)}" if len(there) > 1 else f"use objective={there[0]}")
        )


def check_selection(selection: Selection, task: Task) -> None:
    """Raise `UserError` for a selection whose settings do not fit the task, before any work."""
    try:
        selection.check(task)
    except (TypeError, ValueError) as error:
        raise UserError(f"selection: {error}") from error


def choose(selection: Selection, module: SearchModule, images: Images, run: Run) -> Selected:
    """What the selection chooses, with its seconds among the metrics; that of a finished run is read from its folder.

    The seconds of a resumed run include those of the measurements that it finds in its folder.
    """
    path = run.folder / FILE
    if run.resumed and path.exists():
        finished = Genotype.load(path)
        try:
            found = module.space.parse(finished.architecture)
        except ArchitectureError as error:
            raise UserError(f"{path} has no architecture of {module.space.name}: {error}") from error
        return Selected(found, {name: value for name, value in finished.metrics.items() if name.startswith(PREFIX)})
    if not run.resumed:
        for name in RECORDS:  # of whatever was in the folder before
            (run.folder / name).unlink(missing_ok=True)
    earlier = sum(recorded_seconds(run.folder / name) for name in RECORDS)
    start = time.perf_counter()
    with run.interruptible():
        selected = selection.select(module, images)
    seconds = earlier + time.perf_counter() - start
    return replace(selected, metrics={**selected.metrics, SECONDS: seconds})


def of_found(
    metrics: Mapping[str, float], module: SearchModule, found: Architecture, images: Images
) -> dict[str, float]:
    """The metrics of an architecture that the alphas do not stand for: it is judged on the held-out half here.

    What was measured of the last genotype is left out.
    """
    module.to(images.device)
    network = module.discretized(found)
    with torch.no_grad():
        hits = [network(x).argmax(dim=1) == labels for x, labels in images.batches("valid", shuffle=True)]
    accuracy = float(torch.cat(hits).double().mean())
    kept = {name: value for name, value in metrics.items() if not name.startswith(("genotype/", "benchmark/"))}
    kept["accuracy/discretized"] = accuracy
    if "accuracy/supernet" in kept:
        kept["accuracy/discretization_gap"] = kept["accuracy/supernet"] - accuracy
    return kept


def show(trainer: pl.Trainer, space: SearchSpace, found: Architecture, metrics: Mapping[str, float]) -> None:
    """Write to TensorBoard what was found without training, where no epoch has done so."""
    board = writer(trainer)
    if board is not None:
        for name, value in metrics.items():
            board.add_scalar(name, value, 0)
        board.add_text("genotype", f"`{space.format(found)}`", 0)
        figure = draw_genotype(space.edges, space.operations, found)
        board.add_image("genotype", to_array(figure), 0, dataformats="HWC")


def show_search(trainer: pl.Trainer, selected: Selected) -> None:
    """Write to TensorBoard how a search among architectures went, a point of a curve for each that was scored."""
    board = writer(trainer)
    if board is not None:
        for name, values in selected.curves.items():
            for number, value in enumerate(values, start=1):
                if math.isfinite(value):
                    board.add_scalar(PREFIX + name, value, number)
        for name, figure in selected.pictures.items():
            board.add_image(PREFIX + name, to_array(figure), 0, dataformats="HWC")


def rows(metrics: Mapping[str, float]) -> dict[str, str]:
    """Lines of the table at the end, for what a selection has measured."""
    found = {name.removeprefix(PREFIX): value for name, value in metrics.items() if name.startswith(PREFIX)}
    found.pop("seconds", None)
    return {
        name: f"{100 * value:.2f} % of the held-out half" if name == "accuracy" else f"{value:.5g}"
        for name, value in found.items()
    }
