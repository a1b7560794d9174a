"""Cells as text: ``|op~source|op~source|+|...|``, one group of inputs for each node, joined by ``+``."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

from search_spaces.architecture import DROPPED
from search_spaces.errors import ArchitectureError

Edge = tuple[int, int]


def format_cell(edges: Sequence[Edge], operations: Sequence[str], row: Sequence[int]) -> str:
    """The text of one cell; an edge that is not kept is left out. `parse_cell` reads it back."""
    nodes: dict[int, list[str]] = {node: [] for _, node in edges}
    for (source, node), choice in zip(edges, row, strict=True):
        if choice != DROPPED:
            nodes[node].append(f"{operations[choice]}~{source}")
    return "+".join(f"|{'|'.join(tokens)}|" for tokens in nodes.values())


def parse_cell(
    text: str, edges: Sequence[Edge], operations: Sequence[str], inputs: Mapping[int, int], example: str
) -> list[int]:
    """The operation index on each edge, `DROPPED` on an edge that the text does not name.

    Args:
        text: the cell's text.
        edges: pairs (source, destination).
        operations: names that may occur.
        inputs: how many inputs a node keeps; a node that is not named keeps all.
        example: a valid text, for the errors.

    Raises `ArchitectureError` that names the node and the token where the text breaks.
    """
    nodes = list(dict.fromkeys(node for _, node in edges))
    groups = text.strip().split("+")
    if len(groups) != len(nodes):
        raise ArchitectureError(f"{text!r} has {len(groups)} nodes joined by '+', not {len(nodes)}, as in {example!r}")
    row = [DROPPED] * len(edges)
    for node, group in zip(nodes, groups, strict=True):
        if not (group.startswith("|") and group.endswith("|")):
            raise ArchitectureError(f"node {node}, {group!r}: a node begins and ends with '|', as in {example!r}")
        tokens = [token for token in group.split("|") if token]
        entering = {str(source): index for index, (source, end) in enumerate(edges) if end == node}
        wanted = inputs.get(node, len(entering))
        if len(tokens) != wanted:
            raise ArchitectureError(f"node {node}, {group!r}: {len(tokens)} inputs, not {wanted}, as in {example!r}")
        for token in tokens:
            name, _, source = token.partition("~")
            if name not in operations:
                near = difflib.get_close_matches(name, operations, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(operations)}"
                raise ArchitectureError(f"node {node}, token {token!r}: unknown operation {name!r}; {hint}")
            if source not in entering:
                raise ArchitectureError(
                    f"node {node}, token {token!r}: after '~' comes the node it starts from, {' or '.join(entering)}"
                )
            if row[entering[source]] != DROPPED:
                raise ArchitectureError(f"node {node}, token {token!r}: node {source} is named twice")
            row[entering[source]] = operations.index(name)
    return row
