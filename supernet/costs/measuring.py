"""Measures the latency of every operation of a space's networks, and what is left of whole networks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import cast

import torch
from scipy import stats
from torch import Tensor

from search_spaces.architecture import Architecture
from search_spaces.operations import Operation
from search_spaces.space import SearchSpace
from supernet.costs.measurements import Measurements, Timed
from supernet.costs.survey import Image, survey
from supernet.costs.tables import CostTable, tabulate
from supernet.costs.timing import device_name, milliseconds, network_call, operation_call
from supernet.genotype import versions


def measure(
    space: SearchSpace,
    image: Image,
    architectures: Sequence[Architecture],
    batch_size: int,
    device: torch.device,
    threads: int,
    rounds: Callable[[int], Iterable[int]],
) -> tuple[Measurements, float]:
    """The latencies, and by which share repeated measurements differ.

    Args:
        space: whose stand-alone networks are measured.
        image: channels, height and width of the images.
        architectures: whose networks are timed as a whole, at least two.
        batch_size: images that pass through a network at once.
        device: where.
        threads: of the CPU.
        rounds: called with the number of things to time, gives something for each repetition.
    """
    places = survey(space, image)
    first = {place.shape: place.module for place in reversed(places.places)}
    shapes = sorted(first)
    operations = [cast(Operation, places.network.get_submodule(first[shape])) for shape in shapes]
    calls = [operation_call(op, shape, batch_size, device) for op, shape in zip(operations, shapes, strict=True)]
    calls += [network_call(space.network(architecture), image, batch_size, device) for architecture in architectures]
    taken = milliseconds(calls, threads, rounds(len(calls)))
    low, middle, high = taken.quantile(torch.tensor([0.25, 0.5, 0.75], dtype=taken.dtype), dim=0)
    times = dict(zip(shapes, middle.tolist(), strict=False))
    table = tabulate("milliseconds", space, places.places, lambda place: times[place.shape], 0.0)
    fixed, check = remainder(table, architectures, middle[len(shapes) :])
    counts = Counter(place.shape for place in places.places)
    return Measurements(
        search_space=space.name,
        arguments=space.arguments,
        image=image,
        batch_size=batch_size,
        device=device_name(device),
        threads=threads,
        fixed=fixed,
        operations=tuple(Timed(shape, counts[shape], times[shape]) for shape in shapes),
        check=check,
        versions=versions(),
    ), float(((high - low) / middle).median())


def remainder(table: CostTable, architectures: Sequence[Architecture], whole: Tensor) -> tuple[float, dict[str, float]]:
    """The part of whole networks' times that is not their operations', and how well the sum then predicts them.

    The part is the median difference between the times of networks and the sums of their operations, not below 0.
    """
    sums = torch.tensor([table.of(architecture) for architecture in architectures], dtype=whole.dtype)
    fixed = max(0.0, float((whole - sums).quantile(0.5)))
    return fixed, {
        "architectures": len(architectures),
        "relative_error": float(((fixed + sums - whole).abs() / whole).mean()),
        "kendall_tau": float(stats.kendalltau(sums, whole).statistic),
    }
