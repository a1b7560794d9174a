import math

import pytest

from supernet.evaluation.run_groups import grouped
from supernet.evaluation.runs import outcomes
from tests.supernet.evaluation.runs import search_run


@pytest.fixture
def groups(tmp_path):
    """Two relaxations; of one, three seeds with 0.2, 0.4 and 0.9, of the other 0.6 and two without a result."""
    for seed, value in enumerate((0.2, 0.4, 0.9)):
        changed = (f"seed={seed}", "sweep=seeds", "relaxation=softmax", "epochs=2")
        search_run(tmp_path / str(seed), *changed, value=value, **{"benchmark/cifar10": 90.0 + seed})
    changed = ("relaxation=gumbel", "epochs=2")
    search_run(tmp_path / "3", "seed=0", *changed, value=0.6, **{"benchmark/cifar10": 80.0})
    search_run(tmp_path / "4", "seed=1", *changed, reason="out of memory")
    search_run(tmp_path / "5", "seed=2", *changed)
    return grouped(outcomes(tmp_path))


def test_mean_and_deviation_are_over_the_seeds_alone_and_the_best_stands_first(groups):
    first, second = groups
    assert (first.name, second.name) == ("relaxation=gumbel", "relaxation=softmax")  # 0.6 against 0.5
    assert second.mean("accuracy/discretized") == pytest.approx(0.5)
    # deviations 0.3, 0.1 and 0.4 of the mean: the variance of the sample is (0.09 + 0.01 + 0.16) / 2
    assert second.deviation("accuracy/discretized") == pytest.approx(math.sqrt(0.13))
    assert math.isnan(first.deviation("accuracy/discretized"))  # one value has none


def test_a_loss_is_better_when_it_is_smaller(tmp_path):
    for name, loss in (("a", 1.0), ("b", 0.5)):
        run = search_run(tmp_path / name, f"relaxation={name}", value=0.5)
        (run / "genotype.json").write_text(
            f'{{"metrics": {{"loss/supernet": {loss}}}, "config": {{"objective": "loss/supernet"}}}}'
        )
    assert [group.name for group in grouped(outcomes(tmp_path))] == ["relaxation=b", "relaxation=a"]
