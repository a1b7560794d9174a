"""Architectures of the DARTS space that papers found, by name, from the authors' genotype files.

Written in short: ``sep3~1`` is ``sep_conv_3x3`` on the edge from node 1; nodes are divided by ``/``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

NAMES = {
    "max": "max_pool_3x3", "avg": "avg_pool_3x3", "skip": "skip_connect", "sep3": "sep_conv_3x3",
    "sep5": "sep_conv_5x5", "dil3": "dil_conv_3x3", "dil5": "dil_conv_5x5",
}  # fmt: skip

SHORT = {
    # Liu, Simonyan and Yang, 2019, arXiv:1806.09055: first and second order
    "darts_v1": (
        "sep3~1 sep3~0 / skip~0 sep3~1 / skip~0 sep3~1 / sep3~0 skip~2",
        "max~0 max~1 / skip~2 max~0 / max~0 skip~2 / skip~2 avg~0",
    ),
    "darts_v2": (
        "sep3~0 sep3~1 / sep3~0 sep3~1 / sep3~1 skip~0 / skip~0 dil3~2",
        "max~0 max~1 / skip~2 max~1 / max~0 skip~2 / skip~2 max~1",
    ),
    # Chen, Xie, Wu and Tian, 2019, arXiv:1904.12760
    "pdarts": (
        "skip~0 dil3~1 / skip~0 sep3~1 / sep3~1 sep3~3 / sep3~0 dil5~4",
        "avg~0 sep5~1 / sep3~0 dil5~2 / max~0 dil3~1 / dil3~1 dil5~3",
    ),
    # Xu et al., 2020, arXiv:1907.05737: found on CIFAR-10 and on ImageNet
    "pc_darts": (
        "sep3~1 skip~0 / sep3~0 dil3~1 / sep5~0 sep3~1 / avg~0 dil3~1",
        "sep5~1 max~0 / sep5~1 sep5~2 / sep3~0 sep3~3 / sep3~1 sep3~2",
    ),
    "pc_darts_imagenet": (
        "skip~1 sep3~0 / sep3~0 skip~1 / sep3~1 sep3~3 / sep3~1 dil5~4",
        "sep3~0 skip~1 / dil5~2 max~1 / sep3~2 sep3~1 / sep5~0 sep3~3",
    ),
    # Chen et al., 2021, arXiv:2006.10355: found on CIFAR-10 and on ImageNet
    "drnas": (
        "sep3~0 sep5~1 / sep3~1 sep3~2 / skip~0 sep3~1 / sep3~2 dil5~3",
        "max~0 sep5~1 / dil5~2 sep5~1 / sep5~1 dil5~3 / skip~4 sep5~1",
    ),
    "drnas_imagenet": (
        "sep3~1 sep3~0 / sep3~0 sep3~1 / sep3~0 dil3~3 / skip~0 sep3~1",
        "max~0 sep3~1 / sep3~0 skip~2 / sep3~0 sep3~2 / sep3~3 sep3~1",
    ),
    # He, Ye, Shen and Zhang, 2020, arXiv:2003.12238: 2.34 % test error, a smaller one, 2.50 %, and with GDAS
    "milenas": (
        "sep3~1 sep3~0 / dil3~0 sep3~1 / skip~0 sep3~1 / sep3~0 sep5~1",
        "dil3~0 sep3~1 / skip~2 max~0 / skip~2 dil5~3 / skip~2 max~0",
    ),
    "milenas_small": (
        "sep3~0 sep3~1 / sep3~1 skip~0 / sep3~1 sep3~0 / max~0 sep3~1",
        "max~0 max~1 / max~0 max~1 / max~0 max~1 / max~0 skip~2",
    ),
    "milenas_v2": (
        "sep3~0 sep3~1 / skip~0 sep3~1 / skip~0 skip~1 / skip~0 sep5~1",
        "max~0 max~1 / max~0 skip~2 / skip~2 avg~0 / avg~0 skip~2",
    ),
    "milenas_gdas": (
        "dil3~0 sep3~1 / sep3~0 dil5~2 / sep5~0 sep5~3 / sep3~4 dil3~2",
        "avg~1 skip~0 / skip~2 sep5~0 / sep3~3 sep3~0 / max~0 skip~4",
    ),
    # FreeDARTS (training-free, SynFlow), from a published log
    "freedarts": (
        "sep5~1 sep3~0 / sep3~0 dil5~1 / dil3~0 dil3~1 / max~3 sep3~0",
        "avg~0 avg~1 / dil5~2 dil5~0 / avg~3 sep3~2 / dil5~1 dil5~3",
    ),
}


def _long(cell: str) -> str:
    nodes = [[token.partition("~") for token in node.split()] for node in cell.split(" / ")]
    return "+".join(f"|{'|'.join(f'{NAMES[name]}~{source}' for name, _, source in node)}|" for node in nodes)


DARTS: Mapping[str, str] = MappingProxyType(
    {name: f"normal:{_long(normal)};reduce:{_long(reduce)}" for name, (normal, reduce) in SHORT.items()}
)
"""The text of each in the form that `search_spaces.darts.DARTS.parse` reads."""

EXAMPLE = DARTS["darts_v2"]
PAIR = re.compile(r"\(\s*['\"](\w+)['\"]\s*,\s*(\d+)\s*\)")


def from_genotype(text: str) -> str:
    """``Genotype(normal=[('op', source), ...], ...)`` of published code in that form.

    Nothing is checked: what it lacks, the form lacks too, and its parser says so.
    """
    text = "".join(text.split())
    cells = []
    for cell in ("normal", "reduce"):
        _, _, rest = text.partition(f"{cell}=[")
        pairs = [f"{name}~{source}" for name, source in PAIR.findall(rest.partition("]")[0])]
        nodes = [f"|{'|'.join(pairs[first : first + 2])}|" for first in range(0, len(pairs), 2)]
        cells.append(f"{cell}:{'+'.join(nodes)}")
    return ";".join(cells)
