"""Architecture selection by perturbation: an operation matters as much as the supernet is worse without it.

Wang, Cheng, Chen, Tang and Hsieh, "Rethinking Architecture Selection in Differentiable NAS" (DARTS-PT), 2021,
arXiv:2108.04392; the order is that of github.com/ruocwang/darts-pt. Nothing here knows a network.
"""

from __future__ import annotations

import functools
import itertools
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence

import torch
from torch import Generator, Tensor

from search_spaces.architecture import DROPPED, Architecture
from search_spaces.space import SearchSpace
from supernet.selection.undecided import UNDECIDED, inputs, nothing_decided, possible

log = logging.getLogger("supernet")

Quality = Callable[[Architecture, str, int, int | None], float]
"""How good the supernet is after these decisions and without one operation of an edge, or (None) without the edge."""

Round = list[tuple[str, int]]
"""A decision for each cell type: its name, and an edge or a node."""


def decide(
    space: SearchSpace,
    quality: Quality,
    tune: Callable[[Architecture], None],
    generator: Generator,
    strength: Mapping[str, Tensor],
    watch: Callable[[Sequence[Round]], Iterable[Round]] = iter,
) -> Architecture:
    """The architecture left when every edge has kept its operation and every node its inputs.

    In random order a round decides one edge of each cell type, and when all are decided the inputs of one node of each;
    nodes that keep all their inputs have nothing to decide. What is kept is what the supernet is worst without; of
    equals, what it mixes in more of. A decision that would cut the output off from the input (or leave the space's
    pool) is not taken. ``none`` may be chosen where architectures may have it, as in the published code.

    Args:
        space: what is decided; ``unchosen`` operations and those it rules out are no candidates.
        quality: measures a perturbed supernet, by its accuracy or by any score.
        tune: called between two rounds with the decisions so far.
        generator: source of the order.
        strength: the supernet's mixing weights ``(edges, operations)`` of each cell type.
        watch: passes the rounds on, for a progress bar.
    """
    partial = nothing_decided(space)
    edges = {cell: [edge for edge, choice in enumerate(row) if choice == UNDECIDED] for cell, row in partial.choices}
    nodes = {
        cell: [node for node, keep in kept.items() if len(inputs(space, partial, cell, node)) > keep]
        for cell, kept in space.inputs.items()
    }
    operations = shuffled(edges, generator)
    rounds = [*operations, *shuffled(nodes, generator)]
    for number, round_ in enumerate(watch(rounds)):
        if number:
            tune(partial)
        rule = keep_operation if number < len(operations) else keep_inputs
        for cell, item in round_:
            partial = rule(space, partial, cell, item, quality, strength[cell])
    return partial


def shuffled(items: Mapping[str, Sequence[int]], generator: Generator) -> list[Round]:
    """Rounds of one item of each cell type, each in a random order, as long as it has any."""
    orders = {
        cell: [few[i] for i in torch.randperm(len(few), generator=generator).tolist()] for cell, few in items.items()
    }
    longest = max(map(len, orders.values()), default=0)
    return [[(cell, few[number]) for cell, few in orders.items() if number < len(few)] for number in range(longest)]


def keep_operation(
    space: SearchSpace, partial: Architecture, cell: str, edge: int, quality: Quality, strength: Tensor
) -> Architecture:
    """Decide an edge: it keeps the operation without which the supernet is worst."""
    candidates = space.candidates(cell)[edge].nonzero().flatten().tolist()
    options = [o for o in candidates if possible(space, partial.replace(cell, edge, o))] or candidates
    without = {option: quality(partial, cell, edge, option) for option in options}
    kept = min(options, key=lambda option: (without[option], -float(strength[edge, option])))
    source, node = space.edges[cell][edge]
    name = space.operations[cell][kept]
    log.info("%s, edge %d to %d: %s (%.4g without it)", cell, source, node, name, without[kept])
    return partial.replace(cell, edge, kept)


def keep_inputs(
    space: SearchSpace, partial: Architecture, cell: str, node: int, quality: Quality, strength: Tensor
) -> Architecture:
    """Decide a node: it keeps the edges without each of which the supernet is worst."""
    entering = inputs(space, partial, cell, node)
    without = {edge: quality(partial, cell, edge, None) for edge in entering}
    ranked = sorted(entering, key=lambda edge: (without[edge], -float(strength[edge, partial[cell][edge]])))
    choices = itertools.combinations(ranked, space.inputs[cell][node])  # the best first
    trials = [_drop(partial, cell, set(entering) - set(kept)) for kept in choices]
    found = next((trial for trial in trials if possible(space, trial)), trials[0])
    sources = [space.edges[cell][edge][0] for edge in entering if found[cell][edge] != DROPPED]
    log.info("%s, node %d: inputs from %s", cell, node, " and ".join(map(str, sources)))
    return found


def _drop(partial: Architecture, cell: str, edges: Iterable[int]) -> Architecture:
    return functools.reduce(lambda architecture, edge: architecture.replace(cell, edge, DROPPED), edges, partial)
