"""``python -m supernet.fit``: fit a predictor on trained architectures and say how good it is."""

from __future__ import annotations

import functools
import logging
import time
from pathlib import Path

import torch
from omegaconf import DictConfig

from search_spaces.architecture import Architecture
from search_spaces.space import SearchSpace
from supernet import seeds
from supernet.assembly import build_benchmark, build_space
from supernet.benchmarks.base import Benchmark
from supernet.compose import CONFIG, build, save_config, settled
from supernet.data.images import Images
from supernet.data.sampling import samples
from supernet.errors import UserError
from supernet.estimators.base import Task
from supernet.estimators.features.base import Features, FeaturesFactory
from supernet.estimators.predictors.base import Predictor, PredictorFactory
from supernet.estimators.predictors.trained import TRAINED, read_trained, write_trained
from supernet.evaluate import chosen_devices, records, result
from supernet.evaluation.choosing import accepting, chosen, read, write
from supernet.evaluation.features import measure
from supernet.evaluation.fitting import Predictions, cross_validated, predictions
from supernet.evaluation.measuring import one_thread
from supernet.evaluation.progress import watched
from supernet.evaluation.workers import MeasuringError
from supernet.files import shown
from supernet.launch import launch
from supernet.selection.journal import Journal
from supernet.selection.training import brief_accuracy

log = logging.getLogger("supernet")
ARCHITECTURES, HELD_OUT, TRAININGS = "architectures.csv", "held_out.csv", "trainings.csv"


def main() -> None:
    """The command ``supernet-fit``."""
    launch(fit, "fit", result=result)


def fit(cfg: DictConfig) -> float:
    """Write ``trained.csv``, which ``estimator=predictor`` takes, and a report; return Kendall's tau."""
    resumed, workers, cfg = bool(cfg.resume), cfg.workers, settled(cfg)
    check(cfg)
    device, folder = chosen_devices(str(cfg.device))[0], Path(cfg.run_dir)
    if not resumed and (folder / CONFIG).exists():
        raise UserError(
            f"{shown(folder)} has an earlier run; go on with it by resume={shown(folder)}, or choose another folder"
        )
    images: Images = build(cfg.data, "data")
    space = build_space(cfg.search_space, images)
    benchmark = build_benchmark(cfg.benchmark, space)
    task = Task(space, samples(images, cfg.seed), cfg.seed, device)
    factory: FeaturesFactory | None = build(cfg.features, "features") or None
    model: PredictorFactory = build(cfg.model, "model")
    predictor, features = build_predictor(model, factory, task)
    if not resumed:
        begin(cfg, space, benchmark)
    try:
        if not (folder / TRAINED).exists():
            train(cfg, space, images, device)
        architectures, accuracies = read_trained(folder, space)
        held_out = read(str(folder / HELD_OUT), space) if (folder / HELD_OUT).exists() else []
        start = time.perf_counter()
        with one_thread():
            if factory and features and features.costly:
                log.info("measuring %d features of networks", len(features.names))
                every = list(dict.fromkeys([*architectures, *held_out]))
                features = measure(factory, task, every, folder, workers, chosen_devices(str(cfg.device)))
                predictor = model(task, features)
            measuring, start = time.perf_counter() - start, time.perf_counter()
            predictor.fit(architectures, accuracies)
            fitting = time.perf_counter() - start
            parts: dict[str, Predictions] = {}
            if cfg.folds:
                make = functools.partial(model, task, features)
                parts["cross-validated"] = cross_validated(make, architectures, accuracies, cfg.folds, cfg.seed)
            if benchmark and held_out:
                truth = [record.accuracy for record in records(benchmark, held_out, str(cfg.dataset), cfg.table_epochs)]
                parts["held out"] = predictions(predictor, held_out, truth)
    except KeyboardInterrupt as error:
        log.error("interrupted; go on with resume=%s", shown(folder))
        raise SystemExit(130) from error
    except (MeasuringError, ValueError) as error:
        raise UserError(f"fit: {error}") from error

    # What draws takes a second to import, for which no other process has a use.
    from supernet.evaluation.fit_summary import summarise

    about = {
        "model": cfg.choices.model,
        "features": cfg.choices.features,
        "search_space": cfg.choices.search_space,
        "trained": len(architectures),
        "seed": cfg.seed,
        "seconds_of_features": measuring,
        "seconds_of_fit": fitting,
    }
    tau = summarise(folder, about, space, parts, predictor.importances())
    log.info(
        "score with it: python -m supernet.evaluate search_space=%s estimator=predictor estimator.trained=%s "
        "features@estimator.features=%s model@estimator.model=%s",
        cfg.choices.search_space, shown(folder), cfg.choices.features, cfg.choices.model,
    )  # fmt: skip
    return tau


def check(cfg: DictConfig) -> None:
    """Raise `UserError` for settings that make no sense."""
    for name, none in (("held_out", True), ("folds", False), ("workers", True)):
        value = cfg[name]
        if not (none and value is None) and (not isinstance(value, int) or isinstance(value, bool) or value < 0):
            raise UserError(f"{name}={value}: it must be a whole number, at least 0{', or null' if none else ''}")
    if cfg.filter == "unique":
        raise UserError("filter=unique is for evaluations; use filter=valid, or filter=no_dangling")
    if cfg.folds == 1:
        raise UserError("folds=1 leaves nothing to fit on; use 2 or more, or 0 for no cross-validation")
    if not cfg.folds and (not cfg.benchmark or cfg.held_out == 0):
        raise UserError("folds=0, and no architectures of a table are held out: there is nothing to judge the fit by")


def build_predictor(
    model: PredictorFactory, factory: FeaturesFactory | None, task: Task
) -> tuple[Predictor, Features | None]:
    """The predictor with its features. Raises `UserError` where they do not fit each other or the space."""
    try:
        features = factory(task) if factory else None
        return model(task, features), features
    except (TypeError, ValueError) as error:
        raise UserError(f"model and features: {error}") from error


def begin(cfg: DictConfig, space: SearchSpace, benchmark: Benchmark | None) -> None:
    """Write which architectures are learnt from and which are held out, and accuracies that are known already."""
    folder, accuracies = Path(cfg.run_dir), None
    if cfg.trained:
        architectures, accuracies = read_trained(str(cfg.trained), space)
    else:
        architectures = chosen(str(cfg.architectures), space, cfg.seed, str(cfg.filter))
        if benchmark:
            found = records(benchmark, architectures, str(cfg.dataset), cfg.table_epochs)
            accuracies = [record.accuracy for record in found]
    if cfg.folds and len(architectures) < 4:
        raise UserError(f"there are {len(architectures)} trained architectures: a cross-validation needs at least 4")
    held_out = others(cfg, space, architectures) if benchmark else []
    if benchmark and held_out:
        records(benchmark, held_out[:1], str(cfg.dataset), cfg.table_epochs)  # a wrong name fails here
    if not held_out and not cfg.folds:
        raise UserError("folds=0, and no architecture is left to be held out: there is nothing to judge the fit by")
    write(folder / ARCHITECTURES, architectures, space)
    if held_out:
        write(folder / HELD_OUT, held_out, space)
    if accuracies is not None:
        write_trained(folder / TRAINED, architectures, accuracies, space)
    save_config(cfg, folder)


def others(cfg: DictConfig, space: SearchSpace, architectures: list[Architecture]) -> list[Architecture]:
    """So many as are held out of those that the filter lets pass and that are not learnt from."""
    taken, accept = set(architectures), accepting(space, str(cfg.filter))
    free = [one for one in space.enumerate() if one not in taken and accept(one)]
    order = torch.randperm(len(free), generator=torch.Generator().manual_seed(seeds.derive(cfg.seed, seeds.SCORE)))
    return [free[index] for index in order[: cfg.held_out].tolist()]


def train(cfg: DictConfig, space: SearchSpace, images: Images, device: torch.device) -> None:
    """Train each architecture briefly and write its accuracy on the held-out half, in percent, as soon as it is known.

    What ``trainings.csv`` has already is not trained again.
    """
    folder = Path(cfg.run_dir)
    architectures = read(str(folder / ARCHITECTURES), space)
    optimizer, scheduler = build(cfg.weight_optimizer, "weight_optimizer"), build(cfg.scheduler, "scheduler")
    images.to(device)
    journal = Journal(folder / TRAININGS, ("arch",), ("accuracy",))
    log.info("training %d networks for %d epochs each", len(architectures), cfg.epochs)
    accuracies = []
    for number, one in enumerate(watched(architectures, "training"), start=1):
        text = space.format(one)
        measure_one = functools.partial(
            brief_accuracy, space, one, images, optimizer, scheduler, cfg.epochs, cfg.clip,
            seeds.derive(cfg.seed, seeds.WEIGHTS),
        )  # fmt: skip
        (share,) = journal((text,), lambda run=measure_one: (run(),))  # type: ignore[misc]
        log.info("%d of %d: %.2f %%, %s", number, len(architectures), 100 * share, text)
        accuracies.append(100 * share)
    write_trained(folder / TRAINED, architectures, accuracies, space)


if __name__ == "__main__":
    main()
