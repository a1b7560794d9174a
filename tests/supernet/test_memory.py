import functools
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from search_spaces.nasbench201 import NASBench201
from supernet import memory, search, train
from supernet.formulations.first_order import FirstOrder
from supernet.formulations.second_order import SecondOrder
from supernet.memory import Live, Need, need
from supernet.modules.search import SearchModule
from supernet.relaxations.softmax import Softmax
from tests.commands import TINY, run

ROOT = Path(__file__).parents[2]


def test_bytes_are_counted_while_tensors_live():
    known = torch.zeros(1000)
    with Live([known]) as live:
        a = known + 1  # 4,000 bytes
        b = a.view(10, 100).t()  # the same storage
        known.add_(1)
        assert live.now == live.peak == 4000
        c = torch.empty(500, dtype=torch.float64)
        assert live.now == 8000
        del a, b
        assert live.now == 4000
        del c
    assert (live.now, live.peak) == (0, 8000)


def test_what_a_graph_keeps_counts_until_it_goes():
    x = torch.zeros(100, requires_grad=True)
    with Live([x]) as live:
        y = x.exp().exp()  # both are kept for the backward pass
        assert live.now == 800
        y.sum().backward()
        del y
        assert live.now == 400  # the gradient
    assert live.peak > 800


def test_a_line_through_two_small_batches():
    def step(batch: int) -> None:
        held = torch.empty(7, dtype=torch.uint8), torch.empty(batch, 30, dtype=torch.uint8)
        assert held

    found = need(step, [torch.empty(5, dtype=torch.uint8)])
    assert found == Need(fixed=12, per_image=30)
    assert found.of(10) == 312
    assert found.largest(312) == 10
    assert found.largest(311) == 9
    assert found.largest(3) == 0


@pytest.mark.parametrize("formulation", [FirstOrder(), SecondOrder()])
def test_a_supernets_step_takes_what_a_few_images_foretell(formulation):
    sgd = functools.partial(torch.optim.SGD, lr=0.1, momentum=0.9)
    module = SearchModule(
        NASBench201(channels=8, cells_per_stage=1, in_channels=3, num_classes=5), Softmax(), formulation, sgd,
        functools.partial(torch.optim.Adam, lr=1e-3), functools.partial(torch.optim.lr_scheduler.StepLR, step_size=1),
    )  # fmt: skip

    def step(count: int) -> None:
        half = torch.zeros(count, 3, 16, 16), torch.zeros(count, dtype=torch.long)
        module.rehearse({"train": half, "valid": half})

    parameters = list(module.parameters())
    found = need(step, parameters)
    with Live(parameters) as live:
        step(32)
    lasting = sum(one.nbytes for one in parameters)
    assert found.of(32) == pytest.approx(live.peak + lasting, rel=0.02)


def test_the_message_names_what_would_fit():
    text = memory.message(Need(2**30, 2**28), 64, 9 * 2**30)
    assert "64 images in a process takes about 17.0 GiB, and the device has 9.0, enough for about 28;" in text
    assert "batch_size=" in text
    assert "not enough for any batch" in memory.message(Need(2**34, 1), 64, 2**30)
    assert memory.message(None, 64, None).startswith("out of memory; ")


def test_a_search_that_runs_out_of_memory_says_what_it_takes(monkeypatch, tmp_path, capfd):
    def step(self, batch, batch_idx):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")

    monkeypatch.setattr(SearchModule, "training_step", step)
    assert run(monkeypatch, search.main, *TINY, "logger=none", f"hydra.run.dir={tmp_path}") == 1
    assert "out of memory: a step with 8 images in a process takes about 0.0 GiB" in capfd.readouterr().err


def test_an_error_of_the_machines_own_allocator_is_known():
    code = (
        "import resource, torch; from supernet import memory\n"
        "resource.setrlimit(resource.RLIMIT_AS, (2**33, 2**33))\n"
        "try: torch.empty(2**36)\n"
        "except RuntimeError as error: print(memory.exhausted(error))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout == "True\n", done.stderr
    assert not memory.exhausted(RuntimeError("shapes do not match"))


@pytest.mark.parametrize("main", [search.main, train.main])
def test_a_dry_run_says_what_a_step_takes_and_leaves_nothing(main, monkeypatch, tmp_path, capfd):
    cell = "|nor_conv_3x3~0|+|none~0|nor_conv_1x1~1|+|skip_connect~0|none~1|nor_conv_3x3~2|"
    which = () if main is search.main else (f"genotype={cell}",)
    assert run(monkeypatch, main, *TINY, *which, "dry_run=memory", f"hydra.run.dir={tmp_path}/run") == 0
    output = capfd.readouterr().out
    assert "batch_size=8" in output
    assert "MiB of each device" in output
    assert not (tmp_path / "run").exists()
