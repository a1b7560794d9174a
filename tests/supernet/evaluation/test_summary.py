import json

import numpy as np
import pytest
import torch
from PIL import Image

from search_spaces.darts import DARTS
from search_spaces.network import multiply_adds
from supernet.errors import UserError
from supernet.evaluation import summary
from supernet.evaluation.summary import costs_of, operation_counts, summarise
from tests.supernet.estimators.tasks import SMALL

IMAGE = (3, 8, 8)
ARCHITECTURES = SMALL.sample(40, torch.Generator().manual_seed(0))


def test_costs_are_the_multiply_adds_of_the_networks(monkeypatch):
    true = [multiply_adds(SMALL.network(one), IMAGE) for one in ARCHITECTURES[:5]]
    assert costs_of(SMALL, ARCHITECTURES[:5], IMAGE).tolist() == true

    def do_not_add_up(*_):
        raise UserError("they do not add up")

    monkeypatch.setattr(summary, "counted", do_not_add_up)
    assert costs_of(SMALL, ARCHITECTURES[:5], IMAGE).tolist() == true


def test_operations_are_counted_over_all_cell_types_and_those_that_no_architecture_has_are_left_out():
    text = "|skip_connect~0|+|none~0|nor_conv_3x3~1|+|none~0|none~1|skip_connect~2|"
    counts = operation_counts(SMALL, [SMALL.parse(text)] * 2)
    assert {name: count.tolist() for name, count in counts.items()} == {
        "none": [3, 3], "skip_connect": [2, 2], "nor_conv_1x1": [0, 0], "nor_conv_3x3": [1, 1], "avg_pool_3x3": [0, 0]
    }  # fmt: skip
    darts = DARTS()
    counts = operation_counts(darts, darts.sample(3, torch.Generator().manual_seed(0)))
    assert "none" not in counts
    assert sum(counts.values()).tolist() == [16, 16, 16]  # two inputs of four nodes in two cells


@pytest.mark.parametrize("broken", [0, 3, 40])
def test_report_pictures_and_table_are_made_of_whatever_scores_there_are(broken, tmp_path, capsys):
    generator = np.random.default_rng(0)
    accuracies = generator.uniform(10, 94, 40)
    scores = accuracies + 20 * generator.normal(size=40)
    scores[:broken] = -np.inf
    about = {"estimator": "mine", "dataset": "cifar10", "seed": 0}
    tau = summarise(tmp_path, about, SMALL, IMAGE, ARCHITECTURES, scores.tolist(), [0.5] * 40, accuracies.tolist())
    report = json.loads((tmp_path / "report.json").read_text())
    assert tau == (report["kendall_tau"] or 0)
    assert (report["architectures"], report["without_finite_score"]) == (40, broken)
    assert report["seconds_per_architecture"] == 0.5
    assert sum(group["architectures"] for group in report["ranking_difference"]["by_multiply_adds"]) == 40
    for name in ("score_against_accuracy.png", "ranking_difference.png"):
        with Image.open(tmp_path / name) as picture:
            assert picture.width > 1000
    out = capsys.readouterr().out
    assert "Kendall's tau" in out
    assert ("left out" in out) == (broken > 0)
