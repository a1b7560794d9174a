"""``python train.py genotype=...``: train what was found, and report its test accuracy."""

from __future__ import annotations

import json
import logging
import math
from pathlib import Path

import torch
from omegaconf import DictConfig, open_dict
from rich.console import Console

from search_spaces.network import multiply_adds, parameters
from supernet import seeds
from supernet.assembly import build_benchmark
from supernet.callbacks.history import History
from supernet.callbacks.hparams import HParams
from supernet.compose import build
from supernet.data.images import Images
from supernet.data.modules import TrainData
from supernet.files import write_atomically
from supernet.from_genotype import architecture_of, data_of, search_space_of, space_for
from supernet.genotype import git_revision, resolve, versions
from supernet.launch import launch
from supernet.modules.train import TrainModule
from supernet.run import Run, flat, in_tables, result_table
from supernet.strategies.launching import Order

log = logging.getLogger("supernet")
METRICS = "metrics.json"


def main() -> None:
    """The command ``supernet-train``."""
    launch(train, "train", follow=search_space_of, result=result)


def result(folder: Path) -> float | None:
    """The test accuracy of a training that has ended, None of one that has not."""
    path = folder / METRICS
    return float(json.loads(path.read_text())["test_accuracy"]) if path.is_file() else None


def train(cfg: DictConfig) -> float:
    """Train one architecture and return its test accuracy after the last epoch."""
    run = Run.start(cfg)
    if run.follows:
        run.follow()
        return math.nan
    return trained(run)


def work(order: Order) -> None:
    """The part of one of several processes in a training."""
    trained(Run.of_worker(order))


def trained(run: Run) -> float:
    """The test accuracy after the training in a run; not a number in a process that only trains."""
    cfg = run.cfg
    genotype = resolve(str(cfg.genotype))
    if cfg.get("data") is None:
        with open_dict(cfg):
            cfg.data, cfg.choices.data = data_of(genotype)
    if cfg.data.get("cutout", 0) is None:
        cfg.data.cutout = cfg.cutout
    images: Images = build(cfg.data, "data")
    space = space_for(cfg, genotype, images)
    architecture = architecture_of(genotype, space)
    benchmark = build_benchmark(cfg.benchmark, space)
    text = cfg.genotype = space.format(architecture)  # a resumed run does not need the file any more

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeds.derive(cfg.seed, seeds.WEIGHTS))
        network = space.network(architecture)
    image = (images.channels, *images.size)
    cost = {"parameters": parameters(network), "multiply_adds": multiply_adds(network, image)}
    module = TrainModule(
        network,
        optimizer=build(cfg.optimizer, "optimizer"),
        scheduler=build(cfg.scheduler, "scheduler"),
        num_classes=images.num_classes,
        seed=cfg.seed,
        clip=cfg.clip,
        label_smoothing=cfg.label_smoothing,
        drop_path=cfg.drop_path,
        auxiliary_weight=cfg.auxiliary_weight,
        max_skipped_steps=cfg.max_skipped_steps,
    )
    history = History(run.folder)
    trainer = run.trainer(history, *([] if run.worker else [HParams(flat(cfg))]))
    if not run.worker:
        log.info("training %s on %s, %s, in %s", text, cfg.choices.data, trainer.strategy.root_device, run.shown)
    if not run.worker and run.rehearsed(module, TrainData(images)):
        return math.nan
    run.fit(trainer, module, TrainData(images))
    if run.worker:
        return math.nan

    accuracies = [float(row["accuracy/test"]) for row in history.rows]
    top5 = history.metrics.get("accuracy/test_top5")  # with more than five classes
    metrics = {
        "genotype": text,
        "search_space": space.name,
        "test_accuracy": accuracies[-1],
        "best_test_accuracy": max(accuracies),
        **({} if top5 is None else {"test_top5_accuracy": top5}),
        "epochs": len(accuracies),
        "seconds": history.seconds,
        **in_tables(architecture, benchmark),
        **cost,
        "versions": versions(),
        "git_revision": git_revision(),
    }
    write_atomically(run.folder / METRICS, json.dumps(metrics, indent=2) + "\n")

    rows = {
        "genotype": text.replace("+", "+\n").replace(";", ";\n"),
        "test accuracy": f"{100 * accuracies[-1]:.2f} % (best epoch: {100 * max(accuracies):.2f} %)",
        **({} if top5 is None else {"among five likeliest": f"{100 * top5:.2f} %"}),
        "parameters": f"{cost['parameters']:,}",
        "multiply-adds": f"{cost['multiply_adds']:,} at {'x'.join(map(str, image))}",
        "training time": f"{history.seconds:.1f} s",
    }
    console = Console()
    console.print(result_table("Trained", rows, architecture, benchmark))
    console.print(f"outputs: {run.shown}", soft_wrap=True, highlight=False)
    return accuracies[-1]


if __name__ == "__main__":
    main()
