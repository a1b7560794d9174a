"""Selection by perturbation: edge by edge the operation without which the supernet is worst.

Wang, Cheng, Chen, Tang and Hsieh, "Rethinking Architecture Selection in Differentiable NAS" (DARTS-PT), 2021,
arXiv:2108.04392, and github.com/ruocwang/darts-pt (``projection.py`` of both spaces).
"""

from __future__ import annotations

import functools
import itertools

from search_spaces.architecture import Architecture
from supernet.data.images import Images
from supernet.evaluation.progress import watched
from supernet.modules.search import SearchModule
from supernet.selection.base import Selected, Selection, prepare
from supernet.selection.decisions import decide
from supernet.selection.partial import PartialSupernet


class PerturbationSelection(Selection):
    """Decides edges, then inputs of nodes (see `decide`), and fine-tunes the supernet in between.

    The published code resets SGD to a tenth of its learning rate, which it keeps from then on, and its momentum to
    zero. It also goes on training alpha, which here stays what the search has found.

    Args:
        tune_epochs: epochs on the training half between two rounds of decisions.
        lr_scale: the learning rate of these, as a share of the one the search began with.
        batches: how many whole batches of held-out images judge each operation; None for all.
    """

    def __init__(self, tune_epochs: int = 5, lr_scale: float = 0.1, batches: int | None = None) -> None:
        if tune_epochs < 0:
            raise ValueError(f"tune_epochs is {tune_epochs}: it must not be negative")
        if not lr_scale > 0:
            raise ValueError(f"lr_scale is {lr_scale}: it must be positive")
        if batches is not None and batches < 1:
            raise ValueError(f"batches is {batches}: it must be at least 1")
        self.tune_epochs = tune_epochs
        self.lr_scale = lr_scale
        self.batches = batches

    def select(self, module: SearchModule, images: Images) -> Selected:
        """See `Selection.select`."""
        generator = prepare(module, images)
        supernet = PartialSupernet(module, self.lr_scale)
        # Mixed, because files come sorted by class, and batch norm uses the statistics of a batch.
        valid = functools.partial(images.batches, "valid", shuffle=True, drop_last=True)
        epochs = itertools.count()

        def accuracy(partial: Architecture, cell: str, edge: int, operation: int | None) -> float:
            supernet.decide(partial)
            return supernet.accuracy(itertools.islice(valid(), self.batches), cell, edge, operation)

        def tune(partial: Architecture) -> None:
            supernet.decide(partial)
            for epoch in itertools.islice(epochs, self.tune_epochs):
                supernet.tune(images.batches("train", epoch, shuffle=True, augment=True, drop_last=True))

        watch = functools.partial(watched, title="deciding")
        return Selected(decide(module.space, accuracy, tune, generator, module.mixture(), watch))
