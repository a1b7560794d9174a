"""``python search.py``: compose, fit, and write what was found."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.table import Table

from search_spaces.architecture import Architecture
from search_spaces.network import multiply_adds, parameters
from search_spaces.space import SearchSpace
from supernet import beginning, ending, shrinking
from supernet.assembly import build_benchmark, build_space
from supernet.benchmarks.base import Benchmark
from supernet.callbacks.history import History
from supernet.callbacks.hparams import HParams
from supernet.compose import build
from supernet.data.images import Images
from supernet.data.modules import SearchData
from supernet.data.sampling import samples
from supernet.estimators.base import Task
from supernet.genotype import FILE, Genotype, git_revision, versions
from supernet.inputs import fix_checkpoints
from supernet.launch import launch
from supernet.modules.compilation import check_statistics
from supernet.modules.precision import check_precision
from supernet.modules.search import SearchModule
from supernet.run import Run, flat, in_tables, log, result_table
from supernet.selection.base import Selected, Selection
from supernet.shrinkage.base import Shrinkage, Shrunk
from supernet.strategies.launching import Order
from supernet.warm_start.alphas import starting_alphas
from supernet.warm_start.base import Outcome, WarmStart


def main() -> None:
    """The command ``supernet-search``."""
    launch(search, "search", result=result)


def result(folder: Path) -> float | None:
    """The value of the objective of a search that has ended, None of one that has not."""
    if not (folder / FILE).is_file():
        return None
    found = Genotype.load(folder)
    return float(found.metrics[found.config["objective"]])


def search(cfg: DictConfig) -> float:
    """Run one search and return the value of ``cfg.objective``, what a sweep maximises."""
    run = Run.start(cfg)
    if run.follows:
        run.follow()
        return math.nan
    return searched(run)


def work(order: Order) -> None:
    """The part of one of several processes in a search: training the supernet."""
    searched(Run.of_worker(order))


def searched(run: Run) -> float:
    """The value of the objective after the search in a run; not a number in a process that only trains."""
    cfg = run.cfg
    for group in ("shrinkage", "warm_start", "selection"):
        if cfg[group] and not run.resumed:
            fix_checkpoints(cfg[group])
    relaxation, formulation = build(cfg.relaxation, "relaxation"), build(cfg.formulation, "formulation")
    check_precision(cfg.trainer.precision, formulation, cfg.arch_precision)
    check_statistics(cfg.recompute, cfg.compile, cfg.cuda_graphs, cfg.trainer.get("sync_batchnorm", False))
    selection: Selection | None = build(cfg.selection, "selection") if cfg.selection else None
    shrinkage: Shrinkage | None = build(cfg.shrinkage, "shrinkage") if cfg.shrinkage else None
    ending.check(cfg, relaxation, selection, shrinkage)
    images: Images = build(cfg.data, "data")
    space = build_space(cfg.search_space, images)
    benchmark = build_benchmark(cfg.benchmark, space)
    image = (images.channels, *images.size)
    warm_start: WarmStart | None = build(cfg.warm_start, "warm_start") if cfg.warm_start else None

    def assemble(space: SearchSpace) -> SearchModule:
        return SearchModule(
            space,
            relaxation=relaxation,
            formulation=formulation,
            weight_optimizer=build(cfg.weight_optimizer, "weight_optimizer"),
            arch_optimizer=build(cfg.arch_optimizer, "arch_optimizer"),
            scheduler=build(cfg.scheduler, "scheduler"),
            seed=cfg.seed,
            clip=cfg.clip,
            warmup_epochs=cfg.warmup_epochs,
            weight_steps=cfg.weight_steps,
            partial_channels=cfg.partial_channels,
            edge_normalization=cfg.edge_normalization,
            perturbation=build(cfg.perturbation, "perturbation") if cfg.perturbation else None,
            cost=build(cfg.cost, "cost", space=space, image=image) if cfg.cost else None,
            max_skipped_steps=cfg.max_skipped_steps,
            recompute=cfg.recompute,
            arch_precision=cfg.arch_precision,
            compiled=cfg.compile,
            captured=cfg.cuda_graphs,
        )

    module = assemble(space)
    history = History(run.folder)
    hparams = HParams(flat(cfg))
    trainer = run.trainer(history, *([] if run.worker else [hparams]))
    if not run.worker:
        log.info("searching %s on %s, %s, in %s", space.name, cfg.choices.data, trainer.strategy.root_device, run.shown)
    if not run.worker and cfg.epochs and run.rehearsed(module, SearchData(images)):
        return math.nan
    outcome: Outcome | None = None
    shrunk: Shrunk | None = None
    if shrinkage is not None or warm_start is not None or selection is not None:
        task = Task(space, samples(images, cfg.seed), cfg.seed, trainer.strategy.root_device)
    if selection is not None and not run.worker:
        ending.check_selection(selection, task)
    if warm_start is not None:
        beginning.check(warm_start, task, relaxation, selection, trainer)
    if shrinkage is not None:
        shrinking.check(shrinkage, task, selection, trainer)
        shrunk = shrinking.begin(shrinkage, task, run, trainer, module, benchmark)
        task = dataclasses.replace(task, space=shrunk.space)
        module = assemble(shrunk.space)
    if warm_start is not None:
        outcome = beginning.begin(warm_start, task, run, trainer, module)
        module = assemble(outcome.space)
    start = next((found.start for found in (outcome, shrunk) if found is not None and found.start is not None), None)
    if start is not None and relaxation.learns:
        module.alphas.start_at(starting_alphas(relaxation, start, module.space.allowed))
    if cfg.epochs:
        run.fit(trainer, module, SearchData(images))
        if run.worker:
            return math.nan
    else:
        run.prepare(module)
        images.to(trainer.strategy.root_device)

    if selection is not None and module.found is not None:
        log.warning(
            "the search ended early with %s, but selection=%s chooses from the supernet of the last epoch; "
            "use selection=none to keep it", space.short(module.found), cfg.choices.selection,
        )  # fmt: skip
    read_off = Selected(module.found or module.genotype())
    selected = ending.choose(selection, module, images, run) if selection else read_off
    found = selected.architecture
    metrics = {**history.metrics, **selected.metrics}
    if cfg.epochs and found != module.genotype():
        metrics = ending.of_found(metrics, module, found, images)
    metrics["seconds"] = history.seconds + selected.metrics.get(ending.SECONDS, 0.0)
    metrics |= in_tables(found, benchmark)
    for name, earlier in (("shrinkage", shrunk), ("warm_start", outcome)):
        if earlier is not None:
            metrics["seconds"] += earlier.effort.seconds
            metrics[f"{name}/seconds"] = earlier.effort.seconds
    Genotype(
        search_space=space.name,
        architecture=space.format(found),
        arguments=module.space.arguments,  # stages may have changed its depth
        metrics=metrics,
        choices=_plain(cfg.choices),
        versions=versions(),
        git_revision=git_revision(),
        config=_plain(cfg),
    ).save(run.folder)
    ending.show_search(trainer, selected)
    if not cfg.epochs:
        ending.show(trainer, space, found, selected.metrics)
        hparams.on_fit_end(trainer, module)
    console = Console()
    before = {} if shrunk is None else {"shrinkage": shrinking.summary(space, shrunk, benchmark)}
    if outcome is not None:
        before["warm start"] = beginning.summary(task.space, outcome)
    console.print(summary(module.space.resized(), found, metrics, image, benchmark, before))
    if not space.is_valid(found):
        log.warning(
            "the output of this network does not depend on its input, so it cannot learn; try more epochs, another "
            "seed or relaxation, or selection=perturbation, which never chooses such a network"
        )
    console.print(f"train it with: python train.py genotype={run.shown}", soft_wrap=True, highlight=False)
    return metrics[cfg.objective]


def summary(
    space: SearchSpace,
    found: Architecture,
    metrics: dict[str, float],
    image: tuple[int, int, int],
    benchmark: Benchmark | None,
    before: Mapping[str, str] = MappingProxyType({}),
) -> Table:
    """The table at the end of a search; ``before`` says what was done before it, by name."""
    network = space.network(found)
    rows = {
        "genotype": space.format(found).replace("+", "+\n").replace(";", "\n"),
        "parameters": f"{parameters(network):,}",
        "multiply-adds": f"{multiply_adds(network, image):,} at {'x'.join(map(str, image))}",
        "search time": f"{metrics['seconds']:.1f} s",
    }
    if "accuracy/supernet" in metrics:  # else nothing was trained
        rows["supernet"] = f"{100 * metrics['accuracy/supernet']:.2f} % on the held-out half"
        rows["discretized"] = f"{100 * metrics['accuracy/discretized']:.2f} % with the supernet's weights"
    rows |= ending.rows(metrics)
    rows |= before
    return result_table("Found", rows, found, benchmark)


def _plain(cfg: Any) -> Any:
    return OmegaConf.to_container(cfg, resolve=True)


if __name__ == "__main__":
    main()
