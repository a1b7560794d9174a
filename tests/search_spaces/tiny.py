"""A space small enough to count by brute force."""

import torch

from search_spaces.space import SearchSpace


class Tiny(SearchSpace):
    """Two cell types: one whose last node keeps two inputs of three, one that keeps everything."""

    name = "tiny"
    in_channels, num_classes = 3, 10

    def __init__(self, fewer=False):
        self.edges = {"a": ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3)), "b": ((0, 1),)}
        self.operations = {"a": ("none", "x", "y", "z"), "b": ("x", "y")}
        self.inputs = {"a": {2: 1, 3: 2}}
        self.fewer_inputs = fewer
        self.unchosen = frozenset({"none"})
        self.allowed = {"a": torch.ones(6, 4, dtype=torch.bool), "b": torch.ones(1, 2, dtype=torch.bool)}

    def build(self, allowed, *, searching, partial_channels=1):
        raise NotImplementedError


UNEVEN = torch.tensor(
    [
        [1, 0, 1, 1],
        [0, 1, 0, 0],
        [1, 1, 1, 1],
        [1, 0, 0, 0],  # only `none`: this edge is never kept
        [1, 1, 0, 1],
        [0, 0, 1, 0],
    ]
).bool()
TINY = {
    "full": Tiny(),
    "uneven": Tiny().restrict({"a": UNEVEN}),
    "fewer": Tiny(fewer=True).restrict({"a": UNEVEN}),
}
