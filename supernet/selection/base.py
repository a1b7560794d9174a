"""The contract of a selection: a trained supernet in, an architecture out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import TypeVar

import torch
from rich.console import Console
from rich.progress import track

from search_spaces.architecture import Architecture
from supernet import seeds
from supernet.data.images import Images
from supernet.modules.search import SearchModule

T = TypeVar("T")


class Selection(ABC):
    """Chooses the architecture of a search after its last epoch, where it is not read off the alphas."""

    @abstractmethod
    def select(self, module: SearchModule, images: Images) -> Architecture:
        """The architecture; random choices are a function of the module's seed."""


def prepare(module: SearchModule, images: Images) -> torch.Generator:
    """Move the module to the images, as a trainer has left it behind; a generator for all choices.

    It also seeds torch's global generators, which operations such as ``noise`` draw from.
    """
    module.to(images.device)
    seed = seeds.derive(module.seed, seeds.SELECTION)
    torch.manual_seed(seed)
    return torch.Generator().manual_seed(seed)


def watched(items: Sequence[T], description: str) -> Iterable[T]:
    """The items, with a progress bar on a terminal's error stream while they last."""
    console = Console(stderr=True)
    return track(items, description=description, console=console, transient=True, disable=not console.is_terminal)
