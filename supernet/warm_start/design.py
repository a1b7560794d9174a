"""A balanced design: architectures in which every edge has each of its operations equally often.

In such a design the effects of different edges do not disturb each other, so that a few architectures tell as much
about every operation as possible (main-effect designs; Plackett and Burman, 1946, "The Design of Optimum Multifactorial
Experiments").
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from search_spaces.architecture import DROPPED, Architecture
from search_spaces.rows import Rows
from search_spaces.space import SearchSpace

ATTEMPTS = 200  # exchanges for each architecture of the design, until all are valid


def balanced(space: SearchSpace, count: int, generator: Generator) -> list[Architecture]:
    """``count`` architectures in which each operation stands on each edge equally often, up to one.

    Where nodes keep some of their inputs only, each set of inputs is kept equally often, and each operation stands
    equally often on an edge when it is kept. Architectures that are not valid exchange an operation, or the inputs of a
    node, with others until all are; where that does not succeed, which takes a space with hardly any valid ones, some
    are left. From the `pool` of a space, where operations are not free to choose, as many are drawn as there are, up to
    ``count``.
    """
    if space.pool is not None:
        picks = torch.randperm(len(space.pool), generator=generator)[:count]
        return [space.pool[index] for index in picks.tolist()]
    tables = {cell: _table(space.rows(cell), count, generator) for cell in space.edges}
    places = [
        (cell, edge, list(edges)) for cell in space.edges for edges, _ in space.rows(cell).nodes for edge in edges
    ]

    def valid(index: int) -> bool:
        return space.is_valid(architecture(index))

    def architecture(index: int) -> Architecture:
        return Architecture.of({cell: table[index].tolist() for cell, table in tables.items()})

    invalid = {index for index in range(count) if not valid(index)}
    for _ in range(ATTEMPTS * count):
        if not invalid:
            break
        pair = [min(invalid), int(torch.randint(count, (), generator=generator))]
        cell, edge, edges = places[int(torch.randint(len(places), (), generator=generator))]
        both = bool((tables[cell][pair, edge] != DROPPED).all())
        _exchange(tables[cell], pair, [edge] if both else edges)
        wrong = {index for index in pair if not valid(index)}
        if len(wrong) <= len(invalid & set(pair)):
            invalid = (invalid - set(pair)) | wrong
        else:
            _exchange(tables[cell], pair, [edge] if both else edges)
    return [architecture(index) for index in range(count)]


def _exchange(table: Tensor, rows: list[int], edges: list[int]) -> None:
    """Let two rows exchange what they have on some edges, in place."""
    one, other = rows
    mine = table[one, edges].clone()
    table[one, edges] = table[other, edges]
    table[other, edges] = mine


def _table(rows: Rows, count: int, generator: Generator) -> Tensor:
    """The choices ``(count, edges)`` of one cell type."""
    options = rows.options
    table = torch.full((count, len(options)), DROPPED)
    kept = torch.zeros(count, len(options), dtype=torch.bool)
    for node in rows.subsets():
        sets = [edges for edges, choices in node if choices]
        for index, turn in enumerate(turns(len(sets), count, generator).tolist()):
            kept[index, list(sets[turn])] = True
    for edge, choices in enumerate(options):
        here = kept[:, edge].nonzero().flatten()
        if len(here):
            table[here, edge] = torch.tensor(choices)[turns(len(choices), len(here), generator)]
    return table


def turns(options: int, count: int, generator: Generator) -> Tensor:
    """``count`` numbers below ``options`` in random order, each equally often, up to one: a vector ``(count,)``."""
    order = torch.randperm(options, generator=generator)
    return order[torch.arange(count) % options][torch.randperm(count, generator=generator)]
