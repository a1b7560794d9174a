"""Scoring all architectures of a run, and going on where an interruption left it."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import torch

from search_spaces.architecture import Architecture
from supernet.errors import UserError
from supernet.estimators.base import Estimator, EstimatorFactory, Measured, Task
from supernet.evaluation.measuring import measured
from supernet.evaluation.progress import Progress
from supernet.evaluation.scores import SCORES, Measurement, Scores, columns
from supernet.evaluation.workers import MeasuringError
from supernet.files import shown

log = logging.getLogger("supernet")
Scored = tuple[list[float], list[float]]
"""For each architecture its score and the seconds that it took."""


def one_by_one(
    factory: EstimatorFactory,
    estimator: Measured,
    task: Task,
    architectures: Sequence[Architecture],
    folder: Path,
    workers: int | None = None,
    devices: Sequence[torch.device] = (),
) -> Scored:
    """Measure what ``scores.csv`` in the run's folder does not have yet, and complete the file.

    Args:
        factory: gives the estimator in other processes.
        estimator: the same one in this process.
        task: what architectures are scored for.
        architectures: each once.
        folder: of the run.
        workers: see `measured`.
        devices: see `measured`.
    """
    texts = [task.space.format(architecture) for architecture in architectures]
    file = Scores(folder / SCORES, columns(estimator))
    found = file.read()
    strange = set(found) - set(texts)
    if strange:
        raise UserError(f"{file.path} scores {min(strange)}, which this run was not asked for")
    left = [(number, one) for number, one in enumerate(architectures) if texts[number] not in found]
    measurements = measured(factory, estimator, task, left, workers, devices)
    try:
        with file, Progress(len(texts), len(found)) as progress, closing(measurements):
            for number, one in measurements:
                found[texts[number]] = one
                file.append(texts[number], one)
                progress.advance()
    except (KeyboardInterrupt, MeasuringError) as error:
        done = f"{len(found):,} of {len(texts):,} are scored"
        if isinstance(error, MeasuringError):
            log.error("%s; when the reason is mended, go on with resume=%s", done, shown(folder))
            raise
        log.error("interrupted; %s; go on with resume=%s", done, shown(folder))
        raise SystemExit(130) from error
    ordered = [found[text] for text in texts]
    table = torch.tensor([one.values for one in ordered], dtype=torch.float64)
    scores: list[float] = estimator.combine(table).tolist()
    file.finish(texts, ordered, scores)
    return scores, [one.seconds for one in ordered]


def together(estimator: Estimator, task: Task, architectures: Sequence[Architecture], folder: Path) -> Scored:
    """The scores of an estimator that looks at all architectures at once; each has an equal share of the time."""
    start = time.perf_counter()
    scores: list[float] = estimator.score(architectures).tolist()
    seconds = [(time.perf_counter() - start) / len(scores)] * len(scores)
    found = [Measurement((score,), taken) for score, taken in zip(scores, seconds, strict=True)]
    Scores(folder / SCORES).finish([task.space.format(one) for one in architectures], found, scores)
    return scores, seconds
