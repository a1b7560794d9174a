import math

import pytest
import torch
from scipy import stats

from search_spaces.darts import DARTS
from search_spaces.nasbench201 import NASBench201
from supernet.warm_start.design import balanced
from supernet.warm_start.regression import effects, normal_scores


def planted(space, generator):
    """Effects with mean zero on every edge, and the function that adds up those of an architecture."""
    truth = {}
    for cell in space.edges:
        candidates = space.candidates(cell)
        table = torch.randn(candidates.shape, generator=generator, dtype=torch.float64).masked_fill(
            ~candidates, torch.nan
        )
        truth[cell] = table - table.nanmean(dim=1, keepdim=True)

    def value(architecture):
        return sum(
            float(truth[cell][edge, choice])
            for cell, row in architecture.choices
            for edge, choice in enumerate(row)
            if choice >= 0
        )

    return truth, value


@pytest.mark.parametrize("space", [NASBench201(), DARTS()], ids=["nasbench201", "darts"])
def test_additive_truth_is_recovered_exactly(space, generator):
    truth, value = planted(space, generator)
    design = balanced(space, 450, generator)
    found = effects(space, design, torch.tensor([3.0 + value(one) for one in design]), ridge=1e-9)
    for cell, table in truth.items():
        assert found[cell].dtype == torch.float64
        torch.testing.assert_close(found[cell], table, equal_nan=True, atol=1e-5, rtol=0)


def test_on_all_architectures_an_effect_is_the_difference_of_means(generator):
    """The classical estimate, written out: the mean of those that have an operation, less that of all."""
    space = NASBench201()
    allowed = space.allowed["cell"].clone()
    allowed[:, [1, 2]] = False
    space = space.restrict({"cell": allowed})
    everything = list(space.enumerate())
    values = torch.rand(729, generator=generator, dtype=torch.float64)
    found = effects(space, everything, values)["cell"]
    choices = torch.tensor([one["cell"] for one in everything])
    for edge in range(6):
        for operation in (0, 3, 4):
            mean = values[choices[:, edge] == operation].mean() - values.mean()
            assert float(found[edge, operation]) == pytest.approx(float(mean), abs=1e-4)


def test_few_architectures_give_finite_effects():
    space = DARTS()
    design = balanced(space, 20, torch.Generator().manual_seed(0))
    for cell, table in effects(space, design, torch.randn(20)).items():
        assert torch.equal(table.isnan(), ~space.candidates(cell))
        assert (table.nansum(dim=1).abs() < 1e-9).all()


def test_normal_scores_are_the_quantiles_of_the_ranks():
    values = torch.tensor([5.0, -math.inf, 100.0, 7.0])
    expected = stats.norm.ppf([(rank - 0.375) / 4.25 for rank in (2, 1, 4, 3)])
    torch.testing.assert_close(normal_scores(values), torch.from_numpy(expected))
    torch.testing.assert_close(normal_scores(values.clamp_min(-9).exp()), torch.from_numpy(expected))


def test_normal_scores_of_equal_values_are_equal_and_what_is_no_number_is_worst():
    values = torch.tensor([2.0, math.nan, 2.0, 3.0, -math.inf])
    scores = normal_scores(values)
    assert scores[0] == scores[2]
    assert scores[1] == scores[4] == scores.min()
    assert scores.argmax() == 3
    assert torch.equal(normal_scores(torch.ones(4)), torch.zeros(4, dtype=torch.float64))


def test_a_constant_does_not_matter_however_strong_the_ridge(generator):
    space = DARTS()
    design = balanced(space, 40, generator)
    values = torch.randn(40, generator=generator)
    one, other = (effects(space, design, values + shift, ridge=5.0) for shift in (0.0, 50.0))
    torch.testing.assert_close(one["normal"], other["normal"], equal_nan=True, atol=1e-5, rtol=0)
