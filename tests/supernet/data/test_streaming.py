import copy
import multiprocessing
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from supernet.data.decoding import Decoder
from supernet.data.streaming import Decoded, Item, Streams
from supernet.errors import UserError

COUNT = 12


class Workers(Decoder):
    """Gives the process that decodes, and the number of the file."""

    def __call__(self, path: Path, view: Any = None) -> Tensor:
        if not path.stem.isdigit():
            raise UserError(f"{path} cannot be read")
        return torch.tensor([os.getpid(), int(path.stem)])[:, None, None]


FILES = Decoded([Path(f"{number}.png") for number in range(COUNT)], Workers(1, (1, 1), False, False), None)
ORDER: list[list[Item]] = [[(number, None), (number + 1, None)] for number in range(0, COUNT, 2)]


def seen(batches: Iterator[Tensor]) -> tuple[set[int], list[int]]:
    """The processes that decoded, and the files in order."""
    images = torch.cat(list(batches)).flatten(1)
    return set(images[:, 0].tolist()), images[:, 1].tolist()


@pytest.mark.parametrize("workers", [0, 2])
def test_pass_after_pass_has_its_own_order_and_the_same_workers(workers: int) -> None:
    streams = Streams()
    first, order = seen(streams.batches(FILES, ORDER, workers, False))
    assert order == list(range(COUNT))
    again, order = seen(streams.batches(FILES, ORDER[::-1][:4], workers, False))
    assert order == [10, 11, 8, 9, 6, 7, 4, 5]
    assert again == first
    assert len(first) == max(1, workers)
    assert (os.getpid() in first) == (workers == 0)


def test_passes_at_once_have_different_workers_and_a_third_one_takes_over_those_that_are_idle() -> None:
    streams = Streams()
    one, other = streams.batches(FILES, ORDER, 1, False), streams.batches(FILES, ORDER[::-1], 1, False)
    pairs = torch.cat([torch.cat(pair, dim=3) for pair in zip(one, other, strict=True)]).flatten(1)
    processes = {tuple(set(pairs[:, column].tolist())) for column in (0, 1)}
    assert len(processes) == 2
    assert pairs[:, 2].tolist() == list(range(COUNT))
    third, _ = seen(streams.batches(FILES, ORDER, 1, False))
    assert tuple(third) in processes


def test_an_abandoned_pass_leaves_its_workers_and_nothing_else_to_the_next() -> None:
    streams = Streams()
    batches = streams.batches(FILES, ORDER, 2, False)
    next(batches)
    batches.close()
    processes, order = seen(streams.batches(FILES, ORDER[::-1], 2, False))
    assert order == [10, 11, 8, 9, 6, 7, 4, 5, 2, 3, 0, 1]
    again, _ = seen(streams.batches(FILES, ORDER, 2, False))
    assert again == processes


def test_workers_are_free_with_the_last_batch_although_nobody_asks_for_more() -> None:
    streams = Streams()
    batches = streams.batches(FILES, ORDER, 1, False)
    given = [next(batches) for _ in ORDER]
    other = streams.batches(FILES, ORDER, 1, False)
    begun = [next(other)]
    assert list(batches) == []  # asked for more after all, it leaves the other pass alone
    processes, order = seen(iter([*begun, *other]))
    assert order == list(range(COUNT))
    assert processes == set(torch.cat(given)[:, 0].flatten().tolist())
    assert sum(map(len, streams._idle.values())) == 1


def test_a_bad_file_is_an_error_of_its_pass_alone() -> None:
    files = Decoded([Path("0.png"), Path("bad.png"), Path("2.png")], FILES.decoder, None)
    streams = Streams()
    with pytest.raises(UserError, match=r"bad\.png cannot be read"):
        list(streams.batches(files, [[(0, None)], [(1, None)], [(2, None)]], 1, False))
    assert seen(streams.batches(files, [[(2, None)], [(0, None)]], 1, False))[1] == [2, 0]
    streams.close()


def test_closed_streams_have_no_processes_left_and_start_others() -> None:
    streams = Streams()
    processes, _ = seen(streams.batches(FILES, ORDER, 2, False))
    assert processes <= {child.pid for child in multiprocessing.active_children()}
    streams.close()
    assert not processes & {child.pid for child in multiprocessing.active_children()}
    assert not processes & seen(streams.batches(FILES, ORDER, 2, False))[0]


@pytest.mark.skipif(not hasattr(signal, "sigwaitinfo"), reason="the system does not tell who sends a signal")
def test_what_a_job_is_told_does_not_end_its_workers_and_what_its_parent_tells_does() -> None:
    streams = Streams()
    batches = streams.batches(FILES, ORDER, 2, False)
    first = [next(batches), next(batches)]  # one of each worker: both have begun
    workers = {child.pid: child for child in multiprocessing.active_children()}
    for name in ("TERM", "USR1", "USR2"):  # by another process, as a scheduler does
        subprocess.run(["kill", f"-{name}", *map(str, workers)], check=True)
    assert seen(batches)[1] == list(range(sum(map(len, first)), COUNT))
    assert seen(streams.batches(FILES, ORDER, 2, False)) == (set(workers), list(range(COUNT)))
    for worker in workers.values():
        os.kill(worker.pid, signal.SIGTERM)
        worker.join(5)
        assert worker.exitcode == 0
    streams.close()


def test_a_copy_has_no_workers_yet_and_no_pass_needs_none() -> None:
    streams = Streams()
    seen(streams.batches(FILES, ORDER, 1, False))
    assert copy.deepcopy(streams)._idle == {}
    assert list(Streams().batches(FILES, [], 2, False)) == []


def test_images_keep_the_memory_order_of_files(tmp_path: Path) -> None:
    for number in range(3):
        pixels = np.random.default_rng(number).integers(0, 256, (4, 5, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    files = Decoded(sorted(tmp_path.iterdir()), Decoder(3, (4, 5), convert=False, resize=False), None)
    (images,) = Streams().batches(files, [[(0, None), (2, None)]], 1, False)
    assert images.shape == (2, 3, 4, 5)
    assert images.is_contiguous(memory_format=torch.channels_last)
