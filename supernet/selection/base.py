"""The contract of a selection: a trained supernet in, an architecture out."""

from __future__ import annotations

from abc import ABC, abstractmethod

from search_spaces.architecture import Architecture
from supernet.data.images import Images
from supernet.modules.search import SearchModule


class Selection(ABC):
    """Chooses the architecture of a search after its last epoch, where it is not read off the alphas."""

    @abstractmethod
    def select(self, module: SearchModule, images: Images) -> Architecture:
        """The architecture; random choices are a function of the module's seed."""
