"""The architecture parameters of a supernet, and the mixing weights they stand for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from supernet.relaxations.base import Relaxation

ALPHA_STD = 1e-3  # alpha and beta start at 1e-3 * N(0, 1) (Liu et al., 2019; Xu et al., 2020)


@dataclass(frozen=True)
class Mixture:
    """What a network mixes with.

    Attributes:
        weights: for each cell type the mixing weights ``(edges, operations)``.
        edges: for each cell type a factor for each edge as a whole ``(edges,)``; None for one.
        only: for each cell type the index of the only operation to run on each edge; None for all.
    """

    weights: Mapping[str, Tensor]
    edges: Mapping[str, Tensor] | None = None
    only: Mapping[str, Sequence[int]] | None = None

    def combined(self) -> dict[str, Tensor]:
        """The mixing weights times their edge's factor."""
        if self.edges is None:
            return dict(self.weights)
        return {cell: table * self.edges[cell][:, None] for cell, table in self.weights.items()}


class Alphas(nn.Module):
    """For each cell type a table alpha ``(edges, operations)``, and with edge normalisation a vector beta ``(edges,)``.

    Edge normalisation (PC-DARTS, Xu et al., 2020, arXiv:1907.05737, equation 3) weighs the edges that enter a node by
    a softmax over their betas, on top of whatever relaxation mixes the operations of each.

    Args:
        relaxation: from alpha to mixing weights.
        allowed: for each cell type which operations an edge may use.
        destinations: for each cell type the node that each edge enters.
        edge_normalization: whether to have betas.
        pool: where only some architectures are left, for each cell type their operation on each edge
            ``(architectures, edges)``, -1 on one that is not kept; None for all that `allowed` allows.
    """

    def __init__(
        self,
        relaxation: Relaxation,
        allowed: Mapping[str, Tensor],
        destinations: Mapping[str, Sequence[int]],
        edge_normalization: bool = False,
        pool: Mapping[str, Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.relaxation = relaxation
        learns = relaxation.learns
        self.alpha = nn.ParameterDict(
            {cell: nn.Parameter(ALPHA_STD * torch.randn(t.shape), requires_grad=learns) for cell, t in allowed.items()}
        )
        self.beta = nn.ParameterDict(
            {cell: nn.Parameter(ALPHA_STD * torch.randn(len(t))) for cell, t in allowed.items()}
            if edge_normalization
            else {}
        )
        for cell, table in allowed.items():
            self.register_buffer(f"allowed_{cell}", table.clone(), persistent=False)
            nodes = torch.tensor(destinations[cell])
            self.register_buffer(f"siblings_{cell}", nodes[:, None] == nodes, persistent=False)
            self.register_buffer(f"start_{cell}", torch.zeros(table.shape), persistent=False)
        self._samples = relaxation.samples(allowed)
        self.pool = None if pool is None else dict(pool)  # on the processor, where it is decided what runs

    def __getitem__(self, cell: str) -> nn.Parameter:
        """The alpha of a cell type."""
        return self.alpha[cell]

    @property
    def samples(self) -> int:
        """How many draws a step averages over."""
        return self._samples

    def allowed(self, cell: str) -> Tensor:
        """Which operations the edges of a cell type may use, ``(edges, operations)``."""
        return self.get_buffer(f"allowed_{cell}")

    @torch.no_grad()
    def start_at(self, alphas: Mapping[str, Tensor]) -> None:
        """Move each alpha, which is near zero, to near these ``(edges, operations)``, where penalties keep it too."""
        for cell, table in alphas.items():
            start = self.get_buffer(f"start_{cell}")
            start.copy_(table)
            self.alpha[cell] += start

    @torch.no_grad()
    def redraw(self) -> None:
        """Begin anew, as in a new search with the same start; the noise is drawn from torch's global generator."""
        for parameter in self.tensors():
            parameter.copy_(ALPHA_STD * torch.randn(parameter.shape))
        for cell, alpha in self.alpha.items():
            alpha += self.get_buffer(f"start_{cell}")

    def tensors(self) -> list[nn.Parameter]:
        """All that is learnt here: the alphas, then the betas."""
        return [p for p in (*self.alpha.values(), *self.beta.values()) if p.requires_grad]

    def sample(self, tensors: Sequence[Tensor]) -> Mixture:
        """The mixture of a training step at these values of `tensors`, differentiable in them; it may be random."""
        alpha, beta = self._named(tensors)
        if self.pool is not None:
            member = self.relaxation.member(torch.cat(list(self.pool.values()), dim=1))
            if member is not None:
                return self._single({cell: table[member] for cell, table in self.pool.items()}, alpha, beta)
        weights = {cell: self.relaxation(value, self.allowed(cell)) for cell, value in alpha.items()}
        only = None
        if self.relaxation.sparse:  # which modules run is decided on the host: one wait for the device a draw
            choices = torch.cat([table.detach().argmax(dim=1) for table in weights.values()]).tolist()
            sizes = [len(table) for table in weights.values()]
            starts = [sum(sizes[:i]) for i in range(len(sizes))]
            only = {cell: choices[s : s + n] for cell, s, n in zip(weights, starts, sizes, strict=True)}
        return Mixture(weights, self._edges(beta), only)

    @torch.no_grad()
    def mean(self) -> Mixture:
        """The deterministic mixture, from which an architecture is read off."""
        return self.expected(self.tensors())

    @torch.no_grad()
    def single(self, rows: Mapping[str, Sequence[int]]) -> Mixture:
        """The mixture in which single paths train one architecture: its operation on each edge, -1 for none."""
        alpha, beta = self._named(self.tensors())
        return self._single({cell: torch.tensor(row) for cell, row in rows.items()}, alpha, beta)

    def _single(self, rows: Mapping[str, Tensor], alpha: Mapping[str, Tensor], beta: Mapping[str, Tensor]) -> Mixture:
        """One architecture, with neither operation nor bypass on the edges that it does not keep."""
        edges = self._edges(beta)
        weights, kept = {}, {}
        for cell, row in rows.items():
            chosen = row.to(alpha[cell].device)
            weights[cell] = torch.zeros_like(alpha[cell]).scatter(1, chosen.clamp_min(0)[:, None], 1.0)
            kept[cell] = (chosen >= 0).to(alpha[cell].dtype)
            weights[cell] *= kept[cell][:, None]
        if edges is not None or any(bool((row < 0).any()) for row in rows.values()):
            edges = {cell: share if edges is None else share * edges[cell] for cell, share in kept.items()}
        return Mixture(weights, edges, {cell: row.tolist() for cell, row in rows.items()})

    @torch.no_grad()
    def judged(self) -> Mixture:
        """The mixture that validation judges."""
        if self.pool is not None and not self.relaxation.learns:
            return self.mean()
        alpha, beta = self._named(self.tensors())
        weights = {cell: self.relaxation.judged(value, self.allowed(cell)) for cell, value in alpha.items()}
        return Mixture(weights, self._edges(beta))

    def expected(self, tensors: Sequence[Tensor]) -> Mixture:
        """The deterministic mixture, differentiable, at these values of `tensors`."""
        alpha, beta = self._named(tensors)
        if self.pool is not None and not self.relaxation.learns:
            shares = {cell: self._shares(rows, alpha[cell]) for cell, rows in self.pool.items()}
            return Mixture(shares, self._edges(beta))
        weights = {cell: self.relaxation.mean(value, self.allowed(cell)) for cell, value in alpha.items()}
        return Mixture(weights, self._edges(beta))

    def _shares(self, rows: Tensor, alpha: Tensor) -> Tensor:
        """How often the architectures of the pool have each operation ``(edges, operations)``."""
        counts = torch.stack([(rows == operation).sum(dim=0) for operation in range(alpha.shape[1])], dim=1)
        return (counts / len(rows)).to(alpha)

    def penalty(self) -> Tensor:
        """What the relaxation adds to the loss of the alphas: a scalar."""
        parts = [
            self.relaxation.penalty(alpha, self.allowed(cell), self.get_buffer(f"start_{cell}"))
            for cell, alpha in self.alpha.items()
        ]
        return torch.stack(parts).sum()

    @torch.no_grad()
    def restrict(self, allowed: Mapping[str, Tensor]) -> None:
        """Rule operations out from now on; their alphas become zero, and stay there."""
        for cell, table in allowed.items():
            self.allowed(cell).copy_(table)
            self.alpha[cell].masked_fill_(~self.allowed(cell), 0.0)
            self.get_buffer(f"start_{cell}").masked_fill_(~self.allowed(cell), 0.0)
        self._samples = self.relaxation.samples(allowed)

    def _named(self, tensors: Sequence[Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        values = list(tensors)
        alpha = dict(zip(self.alpha, values, strict=False)) if self.relaxation.learns else dict(self.alpha.items())
        beta = dict(zip(self.beta, values[len(values) - len(self.beta) :], strict=True))
        return alpha, beta

    def _edges(self, beta: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
        if not beta:
            return None
        shares = {}
        for cell, value in beta.items():
            siblings = self.get_buffer(f"siblings_{cell}")
            logits = value.expand(len(value), -1).masked_fill(~siblings, torch.finfo(value.dtype).min)
            shares[cell] = (value - logits.logsumexp(dim=1)).exp()
        return shares
