"""Measuring costly features of many architectures, in parallel, in a file that an interruption leaves whole."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import torch

from search_spaces.architecture import Architecture
from supernet.estimators.base import Task
from supernet.estimators.features.base import FeaturesFactory
from supernet.estimators.features.known import Known
from supernet.estimators.features.measured import Rows
from supernet.evaluation.measuring import measured
from supernet.evaluation.progress import Progress
from supernet.evaluation.scores import Scores

FEATURES = "features.csv"


def measure(
    factory: FeaturesFactory,
    task: Task,
    architectures: Sequence[Architecture],
    folder: Path,
    workers: int | None = None,
    devices: Sequence[torch.device] = (),
) -> Known:
    """The features of these architectures, each in ``features.csv`` in the folder as soon as it is measured.

    What the file has already is not measured again.

    Args:
        factory: gives the features, here and in other processes.
        task: what they are told.
        architectures: each once.
        folder: of the run.
        workers: see `measured`, as the next one.
        devices: see there.
    """
    estimator_factory = functools.partial(Rows, features=factory)
    estimator = estimator_factory(task)
    texts = [task.space.format(architecture) for architecture in architectures]
    file = Scores(folder / FEATURES, estimator.names)
    found = file.read()
    left = [(number, one) for number, one in enumerate(architectures) if texts[number] not in found]
    rows = measured(estimator_factory, estimator, task, left, workers, devices)
    with file, Progress(len(texts), len(texts) - len(left)) as progress, closing(rows):
        for number, row in rows:
            found[texts[number]] = row
            file.append(texts[number], row)
            progress.advance()
    values = {one: found[text].values for one, text in zip(architectures, texts, strict=True)}
    return Known(estimator.names, values)
