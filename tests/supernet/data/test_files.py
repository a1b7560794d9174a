import dataclasses
import io
import multiprocessing
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from supernet.data.decoding import Decoder
from supernet.data.files import Files, default_workers, evenly
from supernet.data.pixels import InMemory
from supernet.data.views import Views
from supernet.errors import UserError

COUNT = 23
DECODER = Decoder(3, (4, 5), convert=False, resize=False)
BYTES = COUNT * 3 * 4 * 5


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    rng = np.random.default_rng(0)
    names = [tmp_path / f"{number:02}.png" for number in range(COUNT)]
    for path in names:
        Image.fromarray(rng.integers(0, 256, (4, 5, 3), dtype=np.uint8)).save(path)
    return names


def test_images_are_kept_in_memory_up_to_the_limit(paths: list[Path]) -> None:
    assert isinstance(Files(paths, DECODER, BYTES, 2).ready(), InMemory)
    assert isinstance(Files(paths, DECODER, BYTES - 1, 2).ready(), Files)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_batches_from_files_are_those_from_memory(paths: list[Path], num_workers: int) -> None:
    files = Files(paths, DECODER, 0, num_workers)
    memory = Files(paths, DECODER, BYTES, num_workers).ready()
    assert files.shape == memory.shape == (3, 4, 5)
    order = torch.randperm(COUNT, generator=torch.Generator().manual_seed(0))
    batches = list(files.batches(order, 5))
    assert [len(batch) for batch in batches] == [5, 5, 5, 5, 3]
    assert torch.equal(torch.cat(batches), torch.cat(list(memory.batches(order, 5))))
    assert list(files.batches(order[:0], 5)) == []


def test_taken_files_keep_their_order(paths: list[Path]) -> None:
    assert Files(paths, DECODER, 0, 0).take(torch.tensor([7, 2])).paths == [paths[7], paths[2]]


def test_a_pass_leaves_the_global_generator_alone(paths: list[Path]) -> None:
    before = torch.get_rng_state()
    list(Files(paths, DECODER, 0, 0).batches(torch.arange(COUNT), 5))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("limit", [0, BYTES])
def test_a_bad_file_is_one_line_that_names_it_also_from_a_worker(paths: list[Path], limit: int) -> None:
    paths[13].write_bytes(b"no image")
    with pytest.raises(UserError, match=r"13\.png cannot be read") as caught:
        list(Files(paths, DECODER, limit, 2).ready().batches(torch.arange(COUNT), 5))
    assert "\n" not in str(caught.value)


def test_nothing_is_shown_where_there_is_no_terminal(paths: list[Path], capfd: pytest.CaptureFixture[str]) -> None:
    Files(paths, DECODER, BYTES, 1).ready()
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("patience", "shown"), [(0.0, True), (60.0, False)])
def test_on_a_terminal_only_what_takes_long_is_shown(
    paths: list[Path], monkeypatch: pytest.MonkeyPatch, patience: float, shown: bool
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setattr("supernet.data.files.QUIET_SECONDS", patience)
    Files(paths, DECODER, BYTES, 1).ready()
    assert ("decoding images" in terminal.getvalue()) == shown


def test_positions_are_spread_from_the_first_to_the_last() -> None:
    assert evenly(5, 10) == [0, 1, 2, 3, 4]
    assert evenly(101, 5) == [0, 25, 50, 75, 100]


def test_there_is_a_worker_and_not_too_many() -> None:
    assert 1 <= default_workers() <= 8


VIEWS = Views((4, 5), (0.2, 0.6), None)


def test_images_in_random_views_are_never_kept_in_memory(paths: list[Path]) -> None:
    files = Files(paths, DECODER, BYTES, 0, VIEWS)
    assert files.ready() is files


@pytest.mark.parametrize("num_workers", [0, 2])
def test_the_view_of_a_file_follows_from_the_seed_and_its_position_alone(paths: list[Path], num_workers: int) -> None:
    files = Files(paths, DECODER, 0, 0, VIEWS)
    plain = torch.cat(list(files.batches(torch.arange(COUNT), 5)))
    one, other = (torch.cat(list(files.varied(seed).batches(torch.arange(COUNT), 5))) for seed in (1, 2))
    order = torch.randperm(COUNT, generator=torch.Generator().manual_seed(0))[3:]
    shuffled = dataclasses.replace(files, num_workers=num_workers).varied(1)
    before = torch.get_rng_state()
    assert torch.equal(torch.cat(list(shuffled.batches(order, 4))), one[order])
    assert torch.equal(torch.get_rng_state(), before)
    for different in (plain, other):
        assert (one != different).flatten(1).any(1).float().mean() > 0.9
    assert torch.equal(torch.cat(list(Files(paths, DECODER, 0, 0).batches(torch.arange(COUNT), 5))), plain)


def test_passes_over_some_files_share_workers_until_they_are_released_and_other_files_have_their_own(
    paths: list[Path],
) -> None:
    files = Files(paths, DECODER, 0, 1)
    children = set(multiprocessing.active_children())

    def workers(*some: Files) -> int:
        for one in some:
            list(one.batches(torch.arange(2), 1))
        return len(set(multiprocessing.active_children()) - children)

    assert workers(files, files.varied(1), files.to(torch.device("cpu")), files) == 1
    other = files.take(torch.tensor([3, 4]))
    assert workers(other) == 2
    for one in (files, other):
        one.release()
    assert workers() == 0


def test_files_without_views_do_not_vary(paths: list[Path]) -> None:
    files = Files(paths, DECODER, 0, 0)
    assert files.varied(1) is files
    assert isinstance(memory := Files(paths, DECODER, BYTES, 0).ready(), InMemory)
    assert memory.varied(1) is memory
