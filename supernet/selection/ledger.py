"""What a search without training has scored: measured once, written at once, and drawn in the end."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import torch

from search_spaces.architecture import Architecture
from supernet.errors import UserError
from supernet.estimators.base import EstimatorFactory, Task
from supernet.estimators.constraint import ConstraintFactory, accepting
from supernet.evaluation.figures import save
from supernet.evaluation.measuring import measured
from supernet.evaluation.progress import Progress
from supernet.evaluation.scores import Measurement, Scores, columns
from supernet.evaluation.workers import MeasuringError
from supernet.files import shown
from supernet.searchers.history import Score, comparable
from supernet.selection.base import SCORE, SCORES, Selected, at_least, require_finite
from supernet.selection.front import FRONT, Cheap
from supernet.selection.pictures import best_so_far, draw_history
from supernet.warm_start.scoring import check_estimator

log = logging.getLogger("supernet")
HISTORY = "best_so_far"


@dataclass(frozen=True)
class Objectives:
    """What a search looks for, before it is told its task.

    Attributes:
        folder: of the run.
        estimator: its scores are to be large; it must be `Measured`.
        cost: measures one number that is to be small, the second objective; None for one objective.
        constraint: on what may be scored; None for none.
        workers: the most processes; None for as many as are faster than one.
    """

    folder: Path
    estimator: EstimatorFactory
    cost: EstimatorFactory | None = None
    constraint: ConstraintFactory | None = None
    workers: int | None = None

    def __post_init__(self) -> None:
        if self.workers is not None:
            at_least(0, workers=self.workers)

    def check(self, task: Task) -> None:
        """Raise ValueError or `UserError` where they do not fit the task, or nothing satisfies the constraint."""
        check_estimator(self.estimator, task)
        if self.cost is not None:
            Cheap(self.cost, task)
        accepting(self.constraint, task)


class Ledger:
    """Scores what a search asks for; whatever ``scores.csv`` in the run's folder has is not measured again.

    Args:
        objectives: of the search.
        task: of the search.
    """

    def __init__(self, objectives: Objectives, task: Task) -> None:
        self.objectives = objectives
        self.task = task
        self.estimator = check_estimator(objectives.estimator, task)
        self.cheap = None if objectives.cost is None else Cheap(objectives.cost, task)
        self.accept = accepting(objectives.constraint, task)
        self._file = Scores(objectives.folder / SCORES, columns(self.estimator))
        self._written = self._file.read()
        self._known: dict[Architecture, Measurement] = {}
        self._progress = Progress(0)

    @contextlib.contextmanager
    def searching(self, budget: int, title: str) -> Iterator[None]:
        """While a search goes on: the file is open, and it is shown how far the search is."""
        try:
            with self._file, Progress(budget, title=title) as self._progress:
                yield
        except (KeyboardInterrupt, MeasuringError) as error:
            folder = shown(self.objectives.folder)
            if isinstance(error, MeasuringError):
                raise UserError(f"{error}; when the reason is mended, go on with resume={folder}") from error
            log.error("interrupted; %d are scored; go on with resume=%s", len(self._known), folder)
            raise SystemExit(130) from error

    def score(self, architectures: Sequence[Architecture]) -> list[float]:
        """Measure what is not known, write it down, and give all scores among these."""
        texts = [self.task.space.format(architecture) for architecture in architectures]
        for architecture, line in zip(architectures, texts, strict=True):
            if line in self._written:
                self._known[architecture] = self._written[line]
                self._progress.skip()
        new = [(index, one) for index, one in enumerate(architectures) if one not in self._known]
        found = measured(self.objectives.estimator, self.estimator, self.task, new, self.objectives.workers)
        with closing(found):
            for index, measurement in found:
                self._known[architectures[index]] = measurement
                self._file.append(texts[index], measurement)
                self._progress.advance()
        return self.scores(architectures)

    def scores(self, architectures: Sequence[Architecture]) -> list[float]:
        """The scores that measured architectures have among each other."""
        rows = [self._known[architecture].values for architecture in architectures]
        found: list[float] = self.estimator.combine(torch.tensor(rows, dtype=torch.float64)).tolist()
        return found

    @property
    def rescore(self) -> Score | None:
        """What a score among all so far is, where it depends on the others; None where it does not."""
        return self.scores if columns(self.estimator) else None

    @property
    def refit(self) -> Score | None:
        """The fitness among all so far: the score, or with a second objective the place by both; None as above."""
        if self.cheap is None:
            return self.rescore
        cheap = self.cheap
        return lambda architectures: cheap.fitness(architectures, self.scores(architectures))

    def finish(self, architectures: Sequence[Architecture]) -> Selected:
        """Complete ``scores.csv``, draw what was found, and choose the architecture with the best score.

        Raises `UserError` where no score is finite.
        """
        folder, scores = self.objectives.folder, self.scores(architectures)
        texts = [self.task.space.format(architecture) for architecture in architectures]
        self._file.finish(texts, [self._known[architecture] for architecture in architectures], scores)
        require_finite(scores)
        pictures = {HISTORY: draw_history(scores)}
        save(pictures[HISTORY], folder / f"{HISTORY}.png")
        if self.cheap is not None:
            pictures[FRONT] = self.cheap.write(folder, self.task.space, architectures, scores)
        best = max(range(len(scores)), key=lambda index: comparable(scores[index]))
        log.info("the best of %d scores %.5g", len(scores), scores[best])
        return Selected(architectures[best], {SCORE: scores[best]}, pictures, {HISTORY: best_so_far(scores)})
