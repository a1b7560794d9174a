"""Scoring all architectures of a run, and going on where an interruption left it."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Generator, Sequence
from contextlib import closing
from pathlib import Path

import torch

from search_spaces.architecture import Architecture
from supernet.errors import UserError
from supernet.estimators.base import Estimator, EstimatorFactory, Measured, Task
from supernet.evaluation.measuring import Found, measured
from supernet.evaluation.parts import First, Part, arriving, collected
from supernet.evaluation.progress import Progress
from supernet.evaluation.scores import SCORES, Measurement, Scores, columns
from supernet.evaluation.workers import MeasuringError, Numbered, Queue
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
    first: First | None = None,
    resumed: bool = True,
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
        first: this process, where it shares the work with others; None where it does all.
        resumed: whether what is in the folder counts.
    """
    texts = [task.space.format(architecture) for architecture in architectures]
    names = columns(estimator)
    file = Scores(folder / SCORES, names)
    found = collected(file, names) if resumed else {}
    strange = set(found) - set(texts)
    if strange:
        raise UserError(f"{file.path} scores {min(strange)}, which this run was not asked for")
    left: Sequence[Numbered] = [(number, one) for number, one in enumerate(architectures) if texts[number] not in found]
    queue: Queue = deque(left)
    if first is not None:
        first.open([number for number, _ in left])
        queue = first.queue(left)
    measurements = measured(factory, estimator, task, queue, workers, devices)
    own = _written(file if first is None else Scores(first.file, names), texts, measurements)
    try:
        with closing(own), Progress(len(texts), len(found)) as progress:
            for number, one in own if first is None else arriving(first, names, left, texts, own):
                found[texts[number]] = one
                progress.advance()
    except (KeyboardInterrupt, MeasuringError) as error:
        done = f"{len(found):,} of {len(texts):,} are scored"
        if isinstance(error, MeasuringError):
            log.error("%s; when the reason is mended, go on with resume=%s", done, shown(folder))
            raise
        log.error("interrupted; %s; go on with resume=%s", done, shown(folder))
        raise SystemExit(130) from error
    if first is not None and left and (absent := first.absent()):
        several = "processes" if len(absent) > 1 else "process"
        log.warning("%s %s of %s did not come up; the others have scored all",
                    several, ", ".join(map(str, absent)), first.parts)  # fmt: skip
    ordered = [found[text] for text in texts]
    table = torch.tensor([one.values for one in ordered], dtype=torch.float64)
    scores: list[float] = estimator.combine(table).tolist()
    file.finish(texts, ordered, scores)
    return scores, [one.seconds for one in ordered]


def take_part(
    factory: EstimatorFactory,
    estimator: Measured,
    task: Task,
    architectures: Sequence[Architecture],
    part: Part,
    workers: int | None = None,
    devices: Sequence[torch.device] = (),
) -> int:
    """Measure what the other processes leave to this one; how many these are. For the rest see `one_by_one`."""
    texts = [task.space.format(architecture) for architecture in architectures]
    done = 0
    try:
        queue = part.queue(part.left(list(enumerate(architectures))))
        measurements = measured(factory, estimator, task, queue, workers, devices)
        with closing(_written(Scores(part.file, columns(estimator)), texts, measurements)) as own:
            for _ in own:
                done += 1
    except KeyboardInterrupt as error:
        log.error("interrupted; %s has scored %s; go on with resume=%s", part.name, f"{done:,}", shown(part.folder))
        raise SystemExit(130) from error
    except FileNotFoundError:
        if not part.over():  # then its folder has gone
            raise
    return done


def _written(
    file: Scores, texts: Sequence[str], measurements: Generator[Found, None, None]
) -> Generator[Found, None, None]:
    """What is measured, each in the file before the next."""
    with file, closing(measurements):
        for number, one in measurements:
            file.append(texts[number], one)
            yield number, one


def together(estimator: Estimator, task: Task, architectures: Sequence[Architecture], folder: Path) -> Scored:
    """The scores of an estimator that looks at all architectures at once; each has an equal share of the time."""
    start = time.perf_counter()
    scores: list[float] = estimator.score(architectures).tolist()
    seconds = [(time.perf_counter() - start) / len(scores)] * len(scores)
    found = [Measurement((score,), taken) for score, taken in zip(scores, seconds, strict=True)]
    Scores(folder / SCORES).finish([task.space.format(one) for one in architectures], found, scores)
    return scores, seconds
