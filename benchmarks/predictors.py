"""How well predictors rank NAS-Bench-201 from few trained architectures, for several features and models.

    python -m benchmarks.predictors --repeats 10
    python -m benchmarks.predictors --repeats 10 --data data=image_folder data.root=/path/to/images data.size=16

The protocol is that of Kadlecová et al., 2024, arXiv:2404.16551: of the 9,445 architectures without dangling operations
so many are drawn to learn from, and Kendall's tau is that among all others, mean and deviation over repeats. The second
command also measures proxies, of a fixed sample of ``--sample`` architectures on thin networks, and compares all
features on this sample. Tables are written as Markdown. What is there is not computed again.
"""

from __future__ import annotations

import argparse
import functools
import importlib.util
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from scipy.stats import kendalltau

from search_spaces.architecture import Architecture
from search_spaces.nasbench201 import NASBench201
from supernet.assembly import build_space
from supernet.benchmarks.nasbench201 import NASBench201Table
from supernet.compose import build
from supernet.data.sampling import samples
from supernet.estimators.base import Task
from supernet.estimators.features.base import Features
from supernet.estimators.features.graf import GRAF
from supernet.estimators.features.known import Known
from supernet.estimators.features.one_hot import OneHot
from supernet.estimators.features.paths import Paths
from supernet.estimators.predictors.base import Predictor
from supernet.evaluation.choosing import drawn
from supernet.evaluation.features import measure
from supernet.evaluation.measuring import one_thread
from supernet.launch import CONF
from supernet.samples import Samples
from supernet.selection.journal import Journal

SIZES = (32, 128, 1024)
MODELS = ("ridge", "forest", "boosting", "xgboost", "lightgbm", "gaussian_process", "graph_network")
OPTIONAL = ("xgboost", "lightgbm")
SLOW = {"gaussian_process": 5, "graph_network": 3}  # repeats at most
THIN = ("search_space.channels=8", "search_space.cells_per_stage=1")
Make = Callable[[], Predictor]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("logs/predictors"))
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--dataset", default="cifar10-valid", help="of the table, after 200 epochs")
    parser.add_argument("--data", nargs="*", default=(), help="settings of the images that proxies look at")
    parser.add_argument("--sample", type=int, default=2000, help="architectures whose proxies are measured")
    parser.add_argument("--models", nargs="*", default=MODELS)
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    models = [name for name in args.models if name not in OPTIONAL or importlib.util.find_spec(name)]
    space = NASBench201()
    every = [one for one in space.enumerate() if space.has_no_dangling_operation(one)]
    task = Task(space, Samples.of(torch.zeros(10, 3, 8, 8), torch.arange(10), 10, 0))
    start = time.perf_counter()
    graf, plain = GRAF(task), {"one-hot": OneHot(task), "paths": Paths(task)}
    graf.table(list(space.enumerate()))
    print(f"GRAF of all 15,625 architectures: {time.perf_counter() - start:.2f} s")
    compared = Comparison(args.folder / "taus.csv", every, args.dataset, args.repeats)
    with one_thread():
        sets = {**plain, "GRAF": graf}
        rows = [
            (f"forest, {name}", model("forest", task, remembered(features, every))) for name, features in sets.items()
        ]
        known = remembered(graf, every)
        tabular = [name for name in models if name not in ("forest", "graph_network")]
        rows += [(f"{name}, GRAF", model(name, task, known)) for name in tabular]
        if "graph_network" in models:
            rows.append(("graph_network, the cells", model("graph_network", task, None)))
        text = compared.table("all", rows)
        if args.data:
            proxies, sample = measured(args)
            both = remembered(graf, sample), proxies
            joined = Known(
                [*graf.names, *proxies.names], {one: np.hstack([part.rows[one] for part in both]) for one in sample}
            )
            sets = {**{name: remembered(features, sample) for name, features in sets.items()},
                    "proxies": proxies, "GRAF + proxies": joined}  # fmt: skip
            compared = Comparison(args.folder / "taus.csv", sample, args.dataset, args.repeats)
            rows = [(f"{name}, {which}", model(name, task, features))
                    for name in models if name not in ("gaussian_process", "graph_network")
                    for which, features in sets.items()]  # fmt: skip
            text += "\n" + compared.table("sample", rows)
    (args.folder / "predictors.md").write_text(text)
    print(text)


class Comparison:
    """Repeated fits on random parts of some architectures.

    Every row of a table has the same parts to learn from.
    """

    def __init__(self, path: Path, architectures: Sequence[Architecture], dataset: str, repeats: int) -> None:
        table = NASBench201Table()
        self.architectures = list(architectures)
        self.accuracies = np.array([table.query(one, dataset, 200).accuracy for one in architectures])
        self.journal = Journal(path, ("dataset", "which", "row", "size", "repeat"), ("tau", "fit", "score"))
        self.dataset = dataset
        self.repeats = repeats

    def table(self, which: str, rows: Sequence[tuple[str, Make]]) -> str:
        columns = " | ".join(f"{size:,}" for size in SIZES)
        lines = [f"| {len(self.architectures):,} architectures | {columns} | fit 1,024 [s] | score 1,000 [s] |",
                 "|" + "---|" * (len(SIZES) + 3)]  # fmt: skip
        for name, make in rows:
            cells = []
            for size in SIZES:
                most = SLOW.get(name.split(",")[0], self.repeats)
                runs = [
                    self.journal(
                        (self.dataset, which, name, size, repeat), functools.partial(self.run, make, size, repeat)
                    )
                    for repeat in range(min(most, self.repeats))
                ]
                taus, fits, scores = np.array(runs).T
                cells.append(f"{taus.mean():.3f} ± {taus.std():.3f}")
            lines.append(f"| {name} | {' | '.join(cells)} | {fits.mean():.2g} | {scores.mean():.2g} |")
            print(lines[-1], flush=True)
        return "\n".join(lines) + "\n"

    def run(self, make: Make, size: int, repeat: int) -> tuple[float, float, float]:
        order = np.random.default_rng((repeat, size)).permutation(len(self.architectures))
        train, test = order[:size], order[size:]
        start = time.perf_counter()
        predictor = make().fit([self.architectures[index] for index in train], self.accuracies[train])
        fitted = time.perf_counter()
        scores = predictor.score([self.architectures[index] for index in test]).numpy()
        seconds = (time.perf_counter() - fitted) / len(test) * 1000
        return float(kendalltau(scores, self.accuracies[test]).statistic), fitted - start, seconds


def remembered(features: Features, architectures: Sequence[Architecture]) -> Known:
    """Features that are not computed again in each repeat."""
    table = features.table(architectures)
    return Known(features.names, dict(zip(architectures, table, strict=True)))


def model(name: str, task: Task, features: Features | None) -> Make:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        factory = instantiate(compose("fit", [f"model={name}"]).model)
    return lambda: factory(task, features)


def measured(args: argparse.Namespace) -> tuple[Known, list[Architecture]]:
    """The proxies of ``conf/features/proxies.yaml`` for a sample, on thin networks."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose("fit", ["features=proxies", *THIN, *args.data])
    images = build(cfg.data, "data")
    space = build_space(cfg.search_space, images)
    sample = drawn(args.sample, space, 0, space.has_no_dangling_operation)
    start = time.perf_counter()
    proxies = measure(build(cfg.features, "features"), Task(space, samples(images, 0)), sample, args.folder)
    print(f"proxies of {len(sample):,} architectures: {time.perf_counter() - start:.0f} s, if none was measured before")
    return proxies, sample


if __name__ == "__main__":
    main()
