"""Scoring the architectures that a shrinkage asks for, each once."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from search_spaces.architecture import Architecture
from supernet.estimators.base import EstimatorFactory, Measured, Task
from supernet.evaluation.measuring import Found
from supernet.evaluation.progress import Progress
from supernet.evaluation.scores import Measurement, Scores, columns
from supernet.warm_start.base import Effort
from supernet.warm_start.passes import Passes
from supernet.warm_start.scoring import each, most_workers, thin

FILE = "shrinkage_scores.csv"
"""In a run's folder: a line for each architecture as soon as it is scored."""


class Scorer:
    """Scores architectures, those that an estimator measures one by one in several processes.

    A score that depends on the other architectures, such as a rank, is one among all that were asked for so far. An
    estimator that is not `Measured` is asked for many together, and what it says of one is taken to be no matter of the
    others.

    Args:
        estimator: what scores.
        task: what for.
        channels: of the networks that are looked at, see `Insertion`.
        workers: see there.
        folder: where `FILE` is written and, by a resumed search, read; None for nowhere.
    """

    def __init__(
        self,
        estimator: EstimatorFactory,
        task: Task,
        channels: int | None = None,
        workers: int | None = None,
        folder: Path | None = None,
    ) -> None:
        self.factory = estimator
        self.task = replace(task, space=thin(task.space, channels))
        self.estimator = estimator(self.task)
        self.workers = most_workers(workers, task)
        self._file = None if folder is None else Scores(folder / FILE, columns(self.estimator))
        self._known = {} if self._file is None else self._file.read()
        self._asked: dict[Architecture, Measurement] = {}
        self._passes = Passes()
        self._earlier = sum(one.seconds for one in self._known.values())

    @property
    def queries(self) -> int:
        """How many architectures were scored."""
        return len(self._asked)

    @property
    def effort(self) -> Effort:
        """What all of it has cost; the seconds are those that a resumed search found in the file."""
        count, passes = self.queries, self._passes
        return Effort(count, count * passes.forwards, count * passes.backwards, self._earlier)

    def ask(self, architectures: Sequence[Architecture], what: str) -> None:
        """Score those that are new; ``what`` is shown beside the progress. The file gets a line for each."""
        texts = {one: self.task.space.format(one) for one in architectures if one not in self._asked}
        new = [one for one, text in texts.items() if text not in self._known]
        with Progress(len(new), title=what) as progress, self._file or nullcontext():
            for number, found in self._found(new):
                text = texts[new[number]]
                self._known[text] = found
                if self._file is not None:
                    self._file.append(text, found)
                progress.advance()
        self._asked |= {one: self._known[text] for one, text in texts.items()}

    def scores(self, architectures: Sequence[Architecture]) -> Tensor:
        """The scores ``(architectures,)`` in float64 of what was asked for; minus infinity for what is not finite."""
        rows = torch.tensor([one.values for one in self._asked.values()], dtype=torch.float64)
        values = self.estimator.combine(rows) if isinstance(self.estimator, Measured) else rows[:, 0]
        place = {one: index for index, one in enumerate(self._asked)}
        found = values[[place[one] for one in architectures]]
        return found.nan_to_num(nan=-math.inf, posinf=-math.inf, neginf=-math.inf)

    def _found(self, new: Sequence[Architecture]) -> Iterator[Found]:
        left = list(enumerate(new))
        if not left:
            return
        if not isinstance(self.estimator, Measured):
            start = time.perf_counter()
            values = self.estimator.score(new).tolist()
            seconds = (time.perf_counter() - start) / len(new)
            yield from ((number, Measurement((value,), seconds)) for number, value in enumerate(values))
            return
        yield from each(self.factory, self.estimator, self.task, left, self.workers, self._passes)
