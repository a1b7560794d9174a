"""``python train.py genotype=...``: train what was found, and report its test accuracy."""

from __future__ import annotations

import json
import logging
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf, open_dict
from rich.console import Console

from search_spaces.network import multiply_adds, parameters
from search_spaces.space import ArchitectureError
from supernet import seeds
from supernet.callbacks.history import History
from supernet.callbacks.hparams import HParams
from supernet.compose import build, group_file, plain
from supernet.data.images import Images
from supernet.data.modules import TrainData
from supernet.errors import UserError
from supernet.files import write_atomically
from supernet.genotype import Genotype, git_revision, resolve, versions
from supernet.launch import launch
from supernet.modules.train import TrainModule
from supernet.run import Run, build_benchmark, build_space, flat, result_table

log = logging.getLogger("supernet")
METRICS = "metrics.json"


def main() -> None:
    """The command ``supernet-train``."""
    launch(train, "train")


def train(cfg: DictConfig) -> float:
    """Train one architecture and return its test accuracy after the last epoch."""
    run = Run.start(cfg)
    cfg = run.cfg
    genotype = resolve(cfg.genotype)
    if cfg.get("data") is None:
        with open_dict(cfg):
            cfg.data, cfg.choices.data = data_of(genotype)
    images: Images = build(cfg.data, "data")
    space = build_space(cfg.search_space, images)
    text = genotype.architecture if isinstance(genotype, Genotype) else genotype
    if isinstance(genotype, Genotype) and genotype.search_space != space.name:
        raise UserError(
            f"this genotype is of the space {genotype.search_space}, not {space.name}; "
            f"use search_space={genotype.search_space}"
        )
    try:
        architecture = space.parse(text)
    except ArchitectureError as error:
        raise UserError(f"genotype: {error}") from error
    benchmark = build_benchmark(cfg.benchmark, space)
    cfg.genotype = space.format(architecture)  # a resumed run does not need the file any more

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
    )
    history = History(run.folder)
    trainer = run.trainer(history, HParams(flat(cfg)))
    log.info("training %s on %s, %s, in %s", text, cfg.choices.data, trainer.strategy.root_device, run.shown)
    run.fit(trainer, module, TrainData(images))

    accuracies = [float(row["accuracy/test"]) for row in history.rows]
    metrics = {
        "genotype": text,
        "test_accuracy": accuracies[-1],
        "best_test_accuracy": max(accuracies),
        "epochs": len(accuracies),
        "seconds": history.seconds,
        **cost,
        "versions": versions(),
        "git_revision": git_revision(),
    }
    write_atomically(run.folder / METRICS, json.dumps(metrics, indent=2) + "\n")

    rows = {
        "genotype": text.replace("+", "+\n"),
        "test accuracy": f"{100 * accuracies[-1]:.2f} % (best epoch: {100 * max(accuracies):.2f} %)",
        "parameters": f"{cost['parameters']:,}",
        "multiply-adds": f"{cost['multiply_adds']:,} at {'x'.join(map(str, image))}",
        "training time": f"{history.seconds:.1f} s",
    }
    console = Console()
    console.print(result_table("Trained", rows, architecture, benchmark))
    console.print(f"outputs: {run.shown}", soft_wrap=True, highlight=False)
    return accuracies[-1]


def data_of(genotype: Genotype | str) -> tuple[DictConfig, str]:
    """The data a genotype was searched on: the group's own file, with the plain arguments of the search.

    The class comes from the configuration file here, never from the genotype. Raises `UserError` where the genotype
    does not say.
    """
    if isinstance(genotype, str) or not isinstance(genotype.choices.get("data"), str):
        raise UserError(
            "which data? An architecture alone does not say: data=digits, data=cifar10, data=image_folder ..."
        )
    name = genotype.choices["data"]
    cfg = group_file("data", name)
    own = {"batch_size", "seed", "download"}  # the training's own batch and seed; nothing is fetched unasked
    arguments: Any = genotype.config.get("data", {})
    for key, value in arguments.items() if isinstance(arguments, dict) else ():
        if key == "num_images" and cfg.get(key) is None:
            continue  # what was found on a part of the images is trained on all
        if key in cfg and key not in own and not str(key).startswith("_") and plain(value):
            OmegaConf.update(cfg, key, value)
    return cfg, name


if __name__ == "__main__":
    main()
