import json

import numpy as np
import pytest

from supernet.evaluation.report import biases, criteria

SHARES = ["0.1%", "0.5%", "1%", "5%", "10%", "20%"]
PRECISION = ["0.1%", "0.5%", "1%", "5%", "10%", "50%", "100%"]


def noisy(count=1000, broken=30):
    generator = np.random.default_rng(0)
    accuracies = 94 - np.exp(generator.normal(size=count))
    scores = np.log(94 - accuracies) * -1 + generator.normal(size=count)
    scores[:broken] = -np.inf
    accuracies[:broken] = 10.0
    return scores, accuracies


def test_a_perfect_and_a_reversed_ranking():
    accuracies = [10.0, 50.0, 90.0]
    perfect = criteria([1, 2, 3], accuracies)
    assert [perfect[name] for name in ("kendall_tau", "spearman_rho", "ndcg")] == pytest.approx([1, 1, 1])
    assert (perfect["accuracy_of_best_scored"], perfect["regret"]) == (90, 0)
    reverse = criteria([3, 2, 1], accuracies)
    assert [reverse[name] for name in ("kendall_tau", "spearman_rho")] == pytest.approx([-1, -1])
    assert (reverse["accuracy_of_best_scored"], reverse["best_accuracy"], reverse["regret"]) == (10, 90, 80)


def test_every_criterion_is_there_with_its_shares():
    found = criteria(*noisy())
    for name in ("accuracy_of_top", "regret_of_top", "best_rank", "worst_rank"):
        assert list(found[name]) == SHARES, name
    for name in ("precision_at_top", "precision_at_bottom", "kendall_at_top", "kendall_at_bottom"):
        assert list(found[name]) == PRECISION, name
    for name in ("kendall_tau", "spearman_rho", "pearson", "sparse_kendall_tau", "ndcg"):
        assert 0 < found[name] < 1, name
    assert found["kendall_at_top"]["100%"] == pytest.approx(found["kendall_tau"])
    assert found["precision_at_top"]["100%"] == 1
    assert found["accuracy_of_top"]["10%"] + found["regret_of_top"]["10%"] == pytest.approx(found["best_accuracy"])
    assert 0.4 < found["kendall_tau"] < 0.6
    assert found["precision_at_bottom"]["1%"] > 0.2  # of the 30 architectures that cannot work 10 are meant


def test_architectures_without_a_score_count_for_ranks_and_are_left_out_of_pearson():
    scores, accuracies = noisy()
    found = criteria(scores, accuracies)
    assert found["pearson_left_out"] == 30
    rest = criteria(scores[30:], accuracies[30:])
    assert found["pearson"] == pytest.approx(rest["pearson"])
    assert found["kendall_tau"] > rest["kendall_tau"]


def test_the_best_scored_architectures_share_first_place():
    assert criteria([5, 5, 1], [80, 90, 10])["accuracy_of_best_scored"] == 85


def test_a_criterion_that_is_not_defined_is_none_so_that_json_can_hold_it():
    found = criteria([1.0, 1.0, 1.0], [1.0, 2.0, 3.0])
    assert found["kendall_tau"] is found["spearman_rho"] is found["pearson"] is None
    assert found["kendall_at_top"]["1%"] is None
    json.dumps(found, allow_nan=False)


def test_the_seed_only_decides_between_ties():
    scores, accuracies = noisy(broken=0)
    assert criteria(scores, accuracies, seed=0) == criteria(scores, accuracies, seed=1)
    coarse = np.round(scores)
    assert criteria(coarse, accuracies, seed=0) != criteria(coarse, accuracies, seed=1)


def test_a_score_that_prefers_large_architectures_over_estimates_them():
    generator = np.random.default_rng(0)
    costs, accuracies = generator.permutation(500) + 1.0, generator.normal(size=500)
    convolutions = (costs > 250).astype(int)
    found = biases(costs, accuracies, costs, {"conv": convolutions})
    means = [group["mean"] for group in found["by_multiply_adds"]]
    assert means == sorted(means)
    assert means[0] == pytest.approx(-0.4, abs=0.05)
    assert means[-1] == pytest.approx(0.4, abs=0.05)
    assert [row["count"] for row in found["by_operation"]["conv"]] == [0, 1]
    assert [row["architectures"] for row in found["by_operation"]["conv"]] == [250, 250]
    assert found["by_operation"]["conv"][1]["mean"] == pytest.approx(0.25, abs=0.05)
    json.dumps(found, allow_nan=False)
