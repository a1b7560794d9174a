"""``python -m supernet.evaluate``: score architectures and compare the ranking with a table."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path

import torch
from omegaconf import DictConfig

from search_spaces.architecture import Architecture
from supernet.assembly import build_benchmark, build_estimator, build_factory, build_space
from supernet.benchmarks.base import Benchmark, Record, UnknownRecordError
from supernet.compose import build, load_config, save_config, settled
from supernet.data.images import Images
from supernet.data.sampling import samples
from supernet.errors import SettingsError, UserError
from supernet.estimators.base import Estimator, Measured, Task
from supernet.estimators.one_shot import OneShot
from supernet.evaluation.choosing import chosen, read, write
from supernet.evaluation.classes import class_means
from supernet.evaluation.measuring import one_thread
from supernet.evaluation.parts import AbsentError, First, alone, begun, join
from supernet.evaluation.scores import SCORES, Scores, columns
from supernet.evaluation.scoring import one_by_one, take_part, together
from supernet.files import shown
from supernet.inputs import compare, fix_checkpoints, inputs, keep
from supernet.jobs import OtherJobError
from supernet.launch import launch
from supernet.locks import held
from supernet.sharing import Sharing, check_folder, differing
from supernet.sweeps import is_sweep, leave

log = logging.getLogger("supernet")
ARCHITECTURES, REPORT, LOCK = "architectures.csv", "report.json", "evaluate.lock"


def main() -> None:
    """The command ``supernet-evaluate``."""
    launch(evaluate, "evaluate", result=result)


def result(folder: Path) -> float | None:
    """Kendall's tau of an evaluation that has ended, None of one that has not, or that had no table."""
    path = folder / REPORT
    return float(json.loads(path.read_text())["kendall_tau"] or 0.0) if path.is_file() else None


def evaluate(cfg: DictConfig) -> float | None:
    """Write ``scores.csv``, with a table also a report; return Kendall's tau, what a sweep maximises.

    Where several processes share the work, all but the first only score, and return None.
    """
    resumed, sharing, cfg = bool(cfg.resume), Sharing.of(cfg), settled(cfg)
    devices = chosen_devices(str(cfg.device))
    folder, workers, number = Path(cfg.run_dir), sharing.workers, sharing.number
    if sharing.processes > 1:
        check_folder(cfg)
        if sharing.here > 1:  # each is a worker itself
            workers, devices = 1, [devices[number % sharing.here % len(devices)]]
        if number:
            leave()
            assist(cfg, resumed, sharing, workers, devices)
            return None
    with held(folder / LOCK) as mine:
        if not mine:
            several = ", and give each process its own number (NODE_RANK)" if sharing.processes > 1 else ""
            raise OtherJobError(
                f"another command is at work in {shown(folder)}: wait for its end{several}; what it leaves goes on "
                f"with resume={shown(folder)}, and a new run needs another folder"
            )
        if not resumed:
            check_unused(folder)
        if sharing.processes == 1:
            alone(folder)
            return score(cfg, resumed, workers, devices)
        with First(folder, sharing.processes, sharing.timeout) as first:
            return score(cfg, resumed, workers, devices, first)


def check_unused(folder: Path) -> None:
    """Raise `UserError` for a folder with the scores of another run."""
    if (folder / SCORES).exists() or begun(folder):
        raise UserError(
            f"{shown(folder)} has the scores of an earlier run; go on with it by resume={shown(folder)}, "
            "or choose another folder"
        )


def built(cfg: DictConfig, device: torch.device) -> tuple[Task, Estimator]:
    """The task and the estimator."""
    images: Images = build(cfg.data, "data")
    space = build_space(cfg.search_space, images)
    task = Task(space, samples(images, cfg.seed), cfg.seed, device)
    return task, build_estimator(cfg.estimator, task)


def assist(
    cfg: DictConfig, resumed: bool, sharing: Sharing, workers: int | None, devices: Sequence[torch.device]
) -> None:
    """Score what the other processes leave to this one, with the settings that the first has saved."""
    folder, parts = Path(cfg.run_dir), sharing.processes
    try:
        part = join(folder, sharing.number, parts, sharing.timeout)
    except AbsentError as error:
        if not is_sweep(folder.parent):
            raise
        log.error("error: %s", error)
        raise SystemExit(1) from error  # or this process would wait as long for each run of the sweep that is to come
    if part is None:
        log.info("%s is scored already; nothing is left for process %s of %s", shown(folder), sharing.number, parts)
        return
    with part, one_thread():
        saved = load_config(folder, cfg)
        if not resumed and (name := differing(cfg, saved)):
            raise UserError(f"{name} is not what process 0 was started with; start all with the same settings")
        task, estimator = built(saved, devices[0])
        compare(folder, inputs(saved.estimator, estimator, task))
        if not isinstance(estimator, Measured):
            log.info("%s looks at all architectures at once, which process 0 does", saved.choices.estimator)
            return
        log.info("%s scores its share, in %s", part.name, shown(folder))
        architectures = read(str(folder / ARCHITECTURES), task.space)
        done = take_part(build_factory(saved.estimator), estimator, task, architectures, part, workers, devices)
        log.info("%s has scored %s of %s architectures", part.name, f"{done:,}", f"{len(architectures):,}")


def score(
    cfg: DictConfig,
    resumed: bool,
    workers: int | None,
    devices: Sequence[torch.device],
    first: First | None = None,
) -> float | None:
    """What `evaluate` does in one process, or in the first of several."""
    folder = Path(cfg.run_dir)
    with one_thread():
        if not resumed:
            fix_checkpoints(cfg.estimator)
        task, estimator = built(cfg, devices[0])
        reads = inputs(cfg.estimator, estimator, task)
        if resumed:
            compare(folder, reads)
        space = task.space
        benchmark = build_benchmark(cfg.benchmark, space)
        if resumed:
            architectures = read(str(folder / ARCHITECTURES), space)
        else:
            architectures = chosen(str(cfg.architectures), space, cfg.seed, str(cfg.filter))
        wanted = list(space.enumerate()) if benchmark and cfg.filter == "unique" else architectures
        truth = records(benchmark, wanted, str(cfg.dataset), cfg.table_epochs) if benchmark else []
        if wanted is not architectures:
            truth = class_means(space, architectures, dict(zip(wanted, truth, strict=True)))
        if not resumed:
            check_unused(folder)  # where there are no locks, another process may have been quicker
            write(folder / ARCHITECTURES, architectures, space)
            keep(folder, reads)
            save_config(cfg, folder)
        log.info("%s scores %s architectures of %s, in %s",
                 cfg.choices.estimator, f"{len(architectures):,}", space.name, shown(folder))  # fmt: skip
        if isinstance(estimator, Measured):
            factory = build_factory(cfg.estimator)
            scores, seconds = one_by_one(
                factory, estimator, task, architectures, folder, workers, devices, first, resumed
            )
        else:
            if first is not None:
                first.open([])
            scores, seconds = together(estimator, task, architectures, folder)
    if not bool(torch.tensor(scores).isfinite().any()):
        remedy = "use another estimator"
        if isinstance(estimator, OneShot):
            remedy = "the supernet has lost operations of all: give what it has left: architectures=<run>/shrinkage.csv"
        raise SettingsError(f"not one of {len(architectures):,} architectures has a finite score; {remedy}")
    accuracies = [record.accuracy for record in truth]
    if isinstance(estimator, OneShot) and len(estimator.supernets) > 1:
        from supernet.evaluation.stability import stability, write_stability

        known = Scores(folder / SCORES, columns(estimator)).read()
        values = torch.tensor([known[space.format(one)].values for one in architectures], dtype=torch.float64)
        rows = stability(list(estimator.supernets), estimator.estimates(values), accuracies or None, cfg.seed)
        write_stability(folder, rows, str(cfg.choices.estimator))
    if not truth:
        log.info("there is no table to compare with; the scores are in %s", shown(folder / SCORES))
        return None

    # What correlates and draws takes a second to import, for which no other process has a use.
    from supernet.evaluation.summary import summarise

    about = {
        "estimator": cfg.choices.estimator,
        "search_space": cfg.choices.search_space,
        "data": cfg.choices.data,
        "dataset": cfg.dataset,
        "table_epochs": truth[0].epochs,
        "filter": cfg.filter,
        "seed": cfg.seed,
    }
    return summarise(folder, about, space, task.samples.image, architectures, scores, seconds, accuracies)


def chosen_devices(name: str) -> list[torch.device]:
    """What ``device=`` names: all visible GPUs, or the processor. Raises `UserError` where there is none."""
    if name not in ("auto", "cpu", "cuda"):
        raise UserError(f"device={name}: it must be auto, cpu or cuda")
    count = 0 if name == "cpu" else torch.cuda.device_count()
    if name == "cuda" and not count:
        raise UserError("device=cuda: torch finds no such device here; use device=cpu")
    return [torch.device("cuda", index) for index in range(count)] or [torch.device("cpu")]


def records(
    benchmark: Benchmark, architectures: Sequence[Architecture], dataset: str, epochs: int | None
) -> list[Record]:
    """The table's records of these architectures. Raises `UserError` where it does not have them."""
    try:
        return [benchmark.query(architecture, dataset, epochs) for architecture in architectures]
    except UnknownRecordError as error:
        raise UserError(f"dataset={dataset}: {error}") from error


if __name__ == "__main__":
    main()
