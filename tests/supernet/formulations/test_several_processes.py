"""Every formulation in two processes, each with half of a batch, gives what one gives with the whole batch."""

import threading

import pytest
import torch
from hydra.utils import instantiate

from supernet.formulations.base import Problem
from tests.contracts.configurations import composed, names
from tests.problems import Curved, flat

STEP = {"lr": 0.2, "momentum": 0.9, "weight_decay": 0.1}


class Together:
    """Threads in place of processes: the mean of what both have."""

    def __init__(self) -> None:
        self.barrier = threading.Barrier(2, timeout=60)
        self.parts: dict[int, tuple[torch.Tensor, ...]] = {}

    def mean(self, rank: int, tensors) -> tuple[torch.Tensor, ...]:
        self.parts[rank] = tuple(t.detach().clone() for t in tensors)
        self.barrier.wait()
        found = tuple((a + b) / 2 for a, b in zip(self.parts[0], self.parts[1], strict=True))
        self.barrier.wait()
        return found


def half(batch, rank: int):
    images, labels = batch
    size = len(labels) // 2
    return images[rank * size : (rank + 1) * size], labels[rank * size : (rank + 1) * size]


def settings(name: str):
    return composed("search", f"formulation={name}").formulation


CASES = [
    (name, way)
    for name in names("formulation")
    for way in ([{"finite_differences": choice} for choice in (True, False)] if "epsilon" in settings(name) else [{}])
]


@pytest.mark.parametrize(("name", "way"), CASES)
def test_two_processes_give_the_gradients_of_one(name, way):
    formulation = instantiate(settings(name), **way)
    curved = Curved.random()
    options = {**STEP, "buffers": curved.buffers()}
    whole = curved.problem(**options)
    expected = (
        formulation.arch_grads(whole, curved.train, curved.valid),
        *formulation.joint_grads(whole, curved.train, curved.valid),
        formulation.weight_grads(whole, curved.train, curved.valid),
    )
    together, found = Together(), {}

    def process(rank: int) -> None:
        one = curved.problem(**options)
        problem = Problem(**{**vars(one), "reduce": lambda tensors: together.mean(rank, tensors)})
        train, valid = half(curved.train, rank), half(curved.valid, rank)
        found[rank] = (
            formulation.arch_grads(problem, train, valid),
            *formulation.joint_grads(problem, train, valid),
            formulation.weight_grads(problem, train, valid),
        )

    threads = [threading.Thread(target=process, args=(rank,)) for rank in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for rank in range(2):
        for ours, theirs in zip(found[rank], expected, strict=True):
            torch.testing.assert_close(flat(ours), flat(theirs), rtol=1e-8, atol=1e-10)
