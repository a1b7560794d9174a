"""One operation on each edge, drawn uniformly: the supernet is trained, alpha is not.

Guo, Zhang, Mu, Heng, Liu, Wei and Sun, "Single Path One-Shot Neural Architecture Search with Uniform Sampling" (SPOS),
2020, arXiv:1904.00420; with strict fairness Chu, Zhang and Xu, "FairNAS", 2021, arXiv:1907.01845, algorithm 1.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from supernet.relaxations.base import Relaxation


class Uniform(Relaxation):
    """``p[e] = one_hot(o)`` with o uniform over the allowed operations of edge e; constant in alpha, without a graph.

    Args:
        strict: whether the draws of a step go through a random permutation of each edge's operations, so that each is
            trained equally often; an edge with fewer operations than the largest starts its permutation again. (FairNAS
            adds up the gradients of these draws. Here they are averaged: the factor belongs to the learning rate.)
    """

    learns = False
    weight_decay = 0.0
    sparse = True
    batch_statistics = True

    def __init__(self, strict: bool = False) -> None:
        super().__init__()
        self.strict = strict
        self.turn = 0  # which entry of its permutation an edge uses

    def samples(self, allowed: Mapping[str, Tensor]) -> int:
        """With strict fairness as many as the largest edge has operations, else one."""
        if not self.strict:
            return 1
        return max(1, *(int(table.sum(dim=-1).max()) for table in allowed.values()))

    def seed(self, seed: int, device: torch.device, sample: int = 0) -> None:
        """See `Relaxation.seed`; with strict fairness the seed alone fixes the permutations, the sample the turn."""
        super().seed(seed, device, 0 if self.strict else sample)
        self.turn = sample if self.strict else 0

    def forward(self, alpha: Tensor, allowed: Tensor) -> Tensor:
        """See the class; of alpha only shape, type and device matter."""
        keys = torch.rand(alpha.shape, generator=self.generator, device=alpha.device)
        permutation = keys.masked_fill(~allowed, -1.0).argsort(dim=-1, descending=True)  # allowed operations come first
        turn = self.turn % allowed.sum(dim=-1, keepdim=True).clamp_min(1)
        return torch.zeros_like(alpha).scatter(-1, permutation.gather(-1, turn), 1.0) * allowed

    def member(self, choices: Tensor) -> int:
        """One of the architectures, each equally likely.

        With strict fairness the draws of a step are chosen one after another, each at random among those whose
        operations were drawn least often in this step so far: where the list allows it, every operation of an edge
        occurs once.
        """
        device = None if self.generator is None else self.generator.device
        if not self.strict:
            return int(torch.randint(len(choices), (), generator=self.generator, device=device))
        order = torch.rand(len(choices), generator=self.generator, device=device).cpu().argsort()
        kept, edges = choices >= 0, torch.arange(choices.shape[1])
        drawn = torch.zeros(choices.shape[1], int(choices.max()) + 1)
        for _ in range(self.turn):
            pick = _least_drawn(drawn, choices, kept, order)
            drawn[edges[kept[pick]], choices[pick, kept[pick]]] += 1
        return _least_drawn(drawn, choices, kept, order)

    def mean(self, alpha: Tensor, allowed: Tensor) -> Tensor:
        """One over the number of allowed operations, on each of them."""
        return allowed.to(alpha.dtype) / allowed.sum(dim=-1, keepdim=True).clamp_min(1)

    def inverse(self, weights: Tensor) -> Tensor:
        """Zeros: the mean mixture is the same for every alpha, so there is nothing to invert."""
        return torch.zeros_like(weights)


def _least_drawn(drawn: Tensor, choices: Tensor, kept: Tensor, order: Tensor) -> int:
    """The first in this order of the architectures whose operations were drawn least often."""
    counts = (drawn[torch.arange(choices.shape[1]), choices.clamp_min(0)] * kept).sum(dim=1)
    return int(order[counts[order].argmin()])
