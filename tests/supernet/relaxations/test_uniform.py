import math

import pytest
import torch

from supernet.relaxations.uniform import Uniform

CPU = torch.device("cpu")
ALL = torch.ones(6, 5, dtype=torch.bool)
SOME = torch.tensor([[1, 1, 1, 1], [0, 1, 0, 1], [0, 0, 1, 0], [0, 0, 0, 0], [1, 0, 1, 1], [1, 1, 1, 1]]).bool()
MANY = 40_000


def draws(strict, allowed, seed=3):
    """All samples of one step, ``(samples, edges, ops)``."""
    relaxation = Uniform(strict)
    samples = []
    for sample in range(relaxation.samples({"cell": allowed})):
        relaxation.seed(seed, CPU, sample)
        samples.append(relaxation(torch.zeros(allowed.shape), allowed))
    return torch.stack(samples)


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("row", SOME.unique(dim=0).tolist())
def test_every_allowed_operation_is_drawn_equally_often(strict, row):
    row = torch.tensor(row)
    frequencies = draws(strict, row.expand(MANY, 4))[0].mean(dim=0)
    expected = row / row.sum().clamp_min(1)
    assert (frequencies - expected).abs().max() < 4 * 0.5 / math.sqrt(MANY)  # four standard deviations
    assert frequencies[~row].abs().sum() == 0


def test_edges_are_drawn_independently():
    sample = draws(False, torch.ones(2 * MANY, 2, dtype=torch.bool))[0, :, 0].reshape(MANY, 2)
    together = sample.prod(dim=1).mean()
    assert float(together) == pytest.approx(1 / 4, abs=4 * 0.5 / math.sqrt(MANY))


def test_alpha_does_not_matter():
    relaxation = Uniform()
    results = []
    for alpha in (torch.zeros(6, 5), 1e4 * torch.randn(6, 5), torch.full((6, 5), math.nan)):
        relaxation.seed(3, CPU)
        results.append((relaxation(alpha, ALL), relaxation.mean(alpha, ALL), relaxation.penalty(alpha, ALL)))
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))
    assert not Uniform.learns
    assert Uniform.weight_decay == 0


@pytest.mark.parametrize("seed", range(5))
def test_with_strict_fairness_every_operation_of_a_full_edge_occurs_exactly_once(seed):
    samples = draws(True, ALL, seed)
    assert len(samples) == 5
    assert torch.equal(samples.sum(dim=0), torch.ones(6, 5))


@pytest.mark.parametrize("seed", range(5))
def test_with_strict_fairness_a_smaller_edge_starts_again_and_its_counts_differ_by_one_at_most(seed):
    samples = draws(True, SOME, seed)
    counts = samples.sum(dim=0)
    assert len(samples) == 4
    assert counts[SOME.sum(dim=1) == 4].eq(1).all()
    assert counts[1].tolist() == [0, 2, 0, 2]
    assert counts[2].tolist() == [0, 0, 4, 0]
    assert counts[3].tolist() == [0, 0, 0, 0]
    assert sorted(counts[4].tolist()) == [0, 1, 1, 2]
    assert counts[4, 1] == 0
    assert torch.equal(samples[0][1:3], samples[2][1:3])  # two operations: the third turn is the first one


def test_with_strict_fairness_the_order_is_another_one_for_every_edge_and_every_step():
    assert len(draws(True, torch.ones(200, 3, dtype=torch.bool)).argmax(dim=2).unique(dim=1).T) == math.factorial(3)
    assert not torch.equal(draws(True, ALL, seed=1), draws(True, ALL, seed=2))


def test_with_strict_fairness_both_cell_types_of_a_step_keep_their_permutations():
    tables = {"normal": ALL, "reduce": torch.ones(4, 3, dtype=torch.bool)}
    relaxation = Uniform(strict=True)
    total = {cell: torch.zeros(table.shape) for cell, table in tables.items()}
    for sample in range(relaxation.samples(tables)):
        relaxation.seed(7, CPU, sample)
        for cell, table in tables.items():
            total[cell] += relaxation(torch.zeros(table.shape), table)
    assert total["normal"].eq(1).all()
    assert (total["reduce"] >= 1).all()
    assert total["reduce"].sum(dim=1).eq(5).all()


def test_a_step_takes_as_many_samples_as_the_largest_edge_of_any_cell_type_has_operations():
    tables = {"normal": SOME[1:3], "reduce": SOME[4:5]}
    assert Uniform(strict=True).samples(tables) == 3
    assert Uniform(strict=True).samples({"normal": ~ALL}) == 1
    assert Uniform(strict=False).samples(tables) == 1


def test_the_mean_is_uniform_over_the_allowed_operations_and_inverts_to_zeros():
    mean = Uniform().mean(torch.randn(6, 4, dtype=torch.float64), SOME)
    expected = torch.tensor([[1, 1, 1, 1], [0, 2, 0, 2], [0, 0, 4, 0], [0] * 4, [4 / 3, 0, 4 / 3, 4 / 3], [1] * 4]) / 4
    torch.testing.assert_close(mean, expected.double())
    assert Uniform().inverse(torch.rand(6, 4)).eq(0).all()


def members(strict, choices, seed=3):
    """The architectures that the samples of a step train."""
    relaxation, found = Uniform(strict), []
    for sample in range(relaxation.samples({"cell": ALL})):
        relaxation.seed(seed, CPU, sample)
        found.append(relaxation.member(choices))
    return found


FEW = torch.tensor([[0, 1, -1], [0, 1, 2], [3, -1, 2], [4, 4, 4]])


@pytest.mark.parametrize("strict", [False, True])
def test_every_architecture_of_a_list_is_drawn_equally_often(strict):
    count, relaxation, found = 1000, Uniform(strict), []
    for seed in range(count):
        relaxation.seed(seed, CPU)
        found.append(relaxation.member(FEW))
    drawn = torch.tensor(found).bincount(minlength=4) / count
    assert (drawn - 0.25).abs().max() < 4 * math.sqrt(0.25 * 0.75 / count)


@pytest.mark.parametrize("seed", range(5))
def test_with_strict_fairness_and_all_architectures_every_operation_occurs_exactly_once(seed):
    every = torch.cartesian_prod(*[torch.arange(5)] * 3)
    chosen = every[members(True, every, seed)]
    assert all(sorted(column) == [0, 1, 2, 3, 4] for column in chosen.T.tolist())


def test_with_strict_fairness_the_draws_of_a_step_share_as_few_operations_as_the_list_allows():
    for seed in range(20):
        first, second, third, *_ = members(True, FEW, seed)
        assert {first, second} not in ({0, 1}, {1, 2})  # the pairs with an operation in common
        assert 3 in (first, second, third)  # it has none in common with any
