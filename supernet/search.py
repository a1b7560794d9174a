"""``python search.py``: compose, fit, and write what was found."""

from __future__ import annotations

import time
from typing import Any

from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.table import Table

from search_spaces.architecture import Architecture
from search_spaces.network import multiply_adds, parameters
from search_spaces.space import SearchSpace
from supernet.benchmarks.base import Benchmark
from supernet.callbacks.history import History
from supernet.callbacks.hparams import HParams
from supernet.compose import build
from supernet.data.images import Images
from supernet.data.modules import SearchData
from supernet.errors import UserError
from supernet.genotype import Genotype, git_revision, versions
from supernet.launch import launch
from supernet.modules.search import OBJECTIVES, SearchModule, check_precision
from supernet.run import Run, build_benchmark, build_space, flat, log, result_table
from supernet.selection.base import Selection


def main() -> None:
    """The command ``supernet-search``."""
    launch(search, "search")


def search(cfg: DictConfig) -> float:
    """Run one search and return the value of ``cfg.objective``, what a sweep maximises."""
    run = Run.start(cfg)
    cfg = run.cfg
    if cfg.objective not in OBJECTIVES:
        raise UserError(f"objective={cfg.objective} is not measured; there are {', '.join(OBJECTIVES)}")
    images: Images = build(cfg.data, "data")
    space = build_space(cfg.search_space, images)
    benchmark = build_benchmark(cfg.benchmark, space)
    image = (images.channels, *images.size)
    relaxation, formulation = build(cfg.relaxation, "relaxation"), build(cfg.formulation, "formulation")
    check_precision(cfg.trainer.precision, formulation)
    selection: Selection | None = build(cfg.selection, "selection") if cfg.selection else None
    if not relaxation.learns and selection is None:
        raise UserError(
            f"relaxation={cfg.choices.relaxation} learns no alphas to read an architecture from; "
            "use selection=evolution or selection=perturbation"
        )
    module = SearchModule(
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
    )
    history = History(run.folder)
    trainer = run.trainer(history, HParams(flat(cfg)))
    log.info("searching %s on %s, %s, in %s", space.name, cfg.choices.data, trainer.strategy.root_device, run.shown)
    run.fit(trainer, module, SearchData(images))

    start = time.perf_counter()
    found = selection.select(module, images) if selection else module.found or module.genotype()
    selecting = time.perf_counter() - start if selection else 0.0
    metrics = {**history.metrics, "seconds": history.seconds + selecting}
    Genotype(
        search_space=space.name,
        architecture=space.format(found),
        arguments=space.arguments,
        metrics=metrics,
        choices=_plain(cfg.choices),
        versions=versions(),
        git_revision=git_revision(),
        config=_plain(cfg),
    ).save(run.folder)
    console = Console()
    console.print(summary(space, found, module.genotype(), metrics, image, benchmark))
    console.print(f"train it with: python train.py genotype={run.shown}", soft_wrap=True, highlight=False)
    return metrics[cfg.objective]


def summary(
    space: SearchSpace,
    found: Architecture,
    last: Architecture,
    metrics: dict[str, float],
    image: tuple[int, int, int],
    benchmark: Benchmark | None,
) -> Table:
    """The table at the end of a search; ``last`` is what the alphas stood for in the last epoch."""
    network = space.network(found)
    rows = {
        "genotype": space.format(found).replace("+", "+\n").replace(";", "\n"),
        "parameters": f"{parameters(network):,}",
        "multiply-adds": f"{multiply_adds(network, image):,} at {'x'.join(map(str, image))}",
        "search time": f"{metrics['seconds']:.1f} s",
        "supernet": f"{100 * metrics['accuracy/supernet']:.2f} % on the held-out half",
        "discretized": f"{100 * metrics['accuracy/discretized']:.2f} % with the supernet's weights",
    }
    if found != last:
        rows["discretized"] += ", for what the alphas said last"
    return result_table("Found", rows, found, benchmark)


def _plain(cfg: Any) -> Any:
    return OmegaConf.to_container(cfg, resolve=True)


if __name__ == "__main__":
    main()
