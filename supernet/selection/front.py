"""The Pareto front of a search: high scores at low costs, as a file and as a picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from search_spaces.architecture import Architecture
from search_spaces.space import SearchSpace
from supernet.estimators.base import EstimatorFactory, Task
from supernet.estimators.constraint import single
from supernet.evaluation.figures import save
from supernet.files import write_atomically
from supernet.searchers.pareto import fitness, front
from supernet.selection.journal import text
from supernet.selection.pictures import draw_front

FRONT = "pareto"


class Cheap:
    """A second objective: what an architecture costs is to be small.

    Args:
        cost: measures one number of an architecture.
        task: of the search.

    Raises ValueError for an estimator that is no such number.
    """

    def __init__(self, cost: EstimatorFactory, task: Task) -> None:
        self.cost = single(cost, task)
        self.name = str(getattr(self.cost, "unit", type(self.cost).__name__.lower()))
        self._known: dict[Architecture, float] = {}

    def of(self, architecture: Architecture) -> float:
        """The cost of an architecture."""
        if architecture not in self._known:
            (self._known[architecture],) = self.cost.measurements(architecture)
        return self._known[architecture]

    def fitness(self, architectures: Sequence[Architecture], scores: Sequence[float]) -> list[float]:
        """What is large where an architecture is hard to beat in both objectives; see `pareto.fitness`."""
        return fitness([(score, -self.of(one)) for one, score in zip(architectures, scores, strict=True)])

    def write(
        self, folder: Path, space: SearchSpace, architectures: Sequence[Architecture], scores: Sequence[float]
    ) -> Figure:
        """``pareto.csv``, the front from the cheapest to the best, and ``pareto.png``, all with it; also returned.

        What has no finite score is left out.
        """
        finite = [index for index, score in enumerate(scores) if math.isfinite(score)]
        points = [(scores[index], self.of(architectures[index])) for index in finite]
        best = front([(score, -cost) for score, cost in points])
        lines = [(space.format(architectures[finite[i]]), repr(points[i][0]), repr(points[i][1])) for i in best]
        write_atomically(folder / f"{FRONT}.csv", text([("arch", "score", self.name), *lines]))
        figure = draw_front(points, best, self.name)
        save(figure, folder / f"{FRONT}.png")
        return figure
