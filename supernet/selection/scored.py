"""What all searches among architectures by a score share: their objectives, their record and how they end."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from typing import ClassVar

from torch import Generator

from search_spaces.architecture import Architecture
from supernet.data.images import Images
from supernet.estimators.base import Task
from supernet.modules.search import SearchModule
from supernet.selection.base import SCORE, Selected, Selection, prepare, task_of
from supernet.selection.ledger import Ledger, Objectives


class ScoredSelection(Selection):
    """The best of what a search has scored.

    ``scores.csv`` has a line for each architecture as soon as it is measured; a resumed search measures none of them
    again.

    Args:
        objectives: what it looks for.
        budget: how many architectures it scores at most.

    Attributes:
        title: what it is called beside its progress bar.
    """

    respects_pool = True
    respects_constraint = True
    needs_training = False
    measures = (SCORE,)
    title: ClassVar[str]

    def __init__(self, objectives: Objectives, budget: int) -> None:
        self.objectives = objectives
        self.budget = budget

    def check(self, task: Task) -> None:
        """See `Selection.check`."""
        self.objectives.check(task)

    def select(self, module: SearchModule, images: Images) -> Selected:
        """See `Selection.select`."""
        generator = prepare(module, images)
        ledger = Ledger(self.objectives, task_of(module, images))
        with ledger.searching(self.budget, self.title):
            found = list(self.search(ledger, generator))
        return ledger.finish(found)

    @abstractmethod
    def search(self, ledger: Ledger, generator: Generator) -> Iterable[Architecture]:
        """All architectures that it has asked the ledger to score, in their order."""
