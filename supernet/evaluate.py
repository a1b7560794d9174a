"""``python -m supernet.evaluate``: score architectures and compare the ranking with a table."""

from __future__ import annotations

import csv
import io
import json
import time
from pathlib import Path

import torch
from omegaconf import DictConfig
from rich.console import Console
from rich.progress import track
from rich.table import Table

from search_spaces.architecture import Architecture
from search_spaces.errors import ArchitectureError
from search_spaces.space import SearchSpace
from supernet.benchmarks.base import UnknownRecordError
from supernet.compose import build, check
from supernet.data.images import Images
from supernet.data.sampling import samples
from supernet.errors import UserError
from supernet.estimators.base import Estimator, Task
from supernet.evaluation import criteria
from supernet.files import write_atomically
from supernet.launch import launch
from supernet.run import build_benchmark, build_estimator, build_space


def main() -> None:
    """The command ``supernet-evaluate``."""
    launch(evaluate, "evaluate")


def evaluate(cfg: DictConfig) -> float | None:
    """Write ``scores.csv``, with a table also ``report.json``; return Kendall's tau, what a sweep maximises."""
    check(cfg)
    images: Images = build(cfg.data, "data")
    space = build_space(cfg.search_space, images)
    estimator: Estimator = build_estimator(cfg.estimator, Task(space, samples(images, cfg.seed), cfg.seed))
    benchmark = build_benchmark(cfg.benchmark, space)
    architectures = chosen(str(cfg.architectures), space, cfg.seed)
    truth = []
    if benchmark is not None:
        try:
            truth = [benchmark.query(architecture, cfg.dataset).accuracy for architecture in architectures]
        except UnknownRecordError as error:
            raise UserError(f"dataset={cfg.dataset}: {error}") from error

    scores, rows = [], io.StringIO()
    writer = csv.writer(rows)
    writer.writerow(["arch", "score", "seconds"])
    for architecture in track(architectures, description="scoring", console=Console(stderr=True)):
        start = time.perf_counter()
        scores.append(float(estimator.score([architecture])))
        writer.writerow([space.format(architecture), scores[-1], f"{time.perf_counter() - start:.6f}"])
    folder = Path(cfg.run_dir)
    write_atomically(folder / "scores.csv", rows.getvalue())
    if benchmark is None:
        return None
    report = {"architectures": len(architectures), "dataset": cfg.dataset, **criteria(scores, truth)}
    write_atomically(folder / "report.json", json.dumps(report, indent=2) + "\n")
    table = Table(title=f"{cfg.dataset}, {len(architectures):,} architectures", show_header=False)
    for name, value in criteria(scores, truth).items():
        table.add_row(name.replace("_", " "), f"{value:.3f}")
    Console().print(table)
    return float(report["kendall_tau"])


def chosen(text: str, space: SearchSpace, seed: int) -> list[Architecture]:
    """The architectures that ``architectures=`` names. Raises `UserError` where it names none."""
    if text == "all":
        return list(space.enumerate())
    if text.isdecimal() and int(text) >= 2:
        return space.sample(int(text), torch.Generator().manual_seed(seed))
    path = Path(text).expanduser()
    if not path.is_file():
        raise UserError(f"architectures={text}: give a number of at least 2, `all`, or a csv file with a column `arch`")
    with path.open(newline="") as file:
        reader = csv.DictReader(file)
        if "arch" not in (reader.fieldnames or ()):
            raise UserError(f"{path} has no column `arch`; its columns are {reader.fieldnames}")
        found = []
        for row in reader:
            try:
                found.append(space.parse(row["arch"]))
            except ArchitectureError as error:
                raise UserError(f"{path}, line {reader.line_num}: {error}") from error
    if len(found) < 2:
        raise UserError(f"{path} names {len(found)} architectures: a ranking needs at least two")
    return found


if __name__ == "__main__":
    main()
