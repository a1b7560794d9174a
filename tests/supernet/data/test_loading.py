from collections.abc import Iterator

import torch

from supernet.data.loading import Batch, Loader

LENGTH = 5


def numbered(epoch: int, start: int) -> Iterator[Batch]:
    for number in range(start, LENGTH):
        yield torch.tensor(epoch), torch.tensor(number)


def places(batches: Iterator[Batch]) -> list[tuple[int, int]]:
    return [(int(epoch), int(number)) for epoch, number in batches]


def test_every_pass_starts_anew_in_the_epoch_of_that_moment() -> None:
    epochs = iter([4, 7])
    loader = Loader(numbered, lambda: LENGTH, lambda: next(epochs))
    assert len(loader) == LENGTH
    assert places(iter(loader)) == [(4, number) for number in range(LENGTH)]
    assert places(iter(loader)) == [(7, number) for number in range(LENGTH)]


def test_the_epoch_is_asked_for_with_the_first_batch() -> None:
    epoch = 0
    loader = Loader(numbered, lambda: LENGTH, lambda: epoch)
    prepared = iter(loader)
    epoch = 3
    assert places(prepared)[0] == (3, 0)


def test_a_loaded_state_lets_one_pass_of_its_epoch_go_on() -> None:
    loader = Loader(numbered, lambda: LENGTH, lambda: 2)
    batches = iter(loader)
    next(batches), next(batches)
    other = Loader(numbered, lambda: LENGTH, lambda: 2)
    other.load_state_dict(loader.state_dict())
    assert places(iter(other)) == [(2, 2), (2, 3), (2, 4)]
    assert places(iter(other))[0] == (2, 0)


def test_the_state_of_another_epoch_is_ignored() -> None:
    loader = Loader(numbered, lambda: LENGTH, lambda: 2)
    list(loader)
    other = Loader(numbered, lambda: LENGTH, lambda: 3)
    other.load_state_dict(loader.state_dict())
    assert len(places(iter(other))) == LENGTH
