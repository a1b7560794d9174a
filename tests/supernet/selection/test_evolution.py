import csv
import functools
import logging

import pytest
import torch

from search_spaces.network import parameters
from supernet.estimators.constraint import Constraint
from supernet.estimators.cost import Cost
from supernet.relaxations.uniform import Uniform
from supernet.selection.base import task_of
from supernet.selection.evolution import EvolutionarySelection
from tests.supernet.searches import SPACE, TWO_CELLS, fit, images, module

SMALL = {"population": 4, "generations": 2, "survivors": 2}


@pytest.mark.parametrize("space", [SPACE, TWO_CELLS], ids=["nasbench201", "darts"])
def test_after_an_epoch_of_search_an_architecture_is_found_the_same_every_time(space):
    search, found = module(Uniform(), space=space), []
    fit(search)
    for _ in range(2):
        torch.rand(3)  # what others draw does not matter
        found.append(EvolutionarySelection(**SMALL).select(search, images()).architecture)
    assert found[0] == found[1]
    assert space.contains(found[0])
    assert space.is_valid(found[0])


def test_the_best_of_a_whole_pool_is_what_a_plain_loop_finds(generator, caplog):
    pool = [architecture for architecture in SPACE.sample(9, generator) if SPACE.is_valid(architecture)]
    search, data = module(Uniform(), space=SPACE.restrict(pool=pool)), images()
    fit(search)
    with caplog.at_level(logging.INFO, "supernet"):
        selection = EvolutionarySelection(population=5, generations=8, survivors=2, recalibration_batches=2)
        selected = selection.select(search, data)
    accuracies = {}
    for architecture in pool:
        network = search.discretized(architecture)
        norms = [layer for layer in network.modules() if isinstance(layer, torch.nn.BatchNorm2d)]
        with torch.no_grad():
            for number, (x, _) in enumerate(data.batches("train", shuffle=True, augment=True, drop_last=True)):
                for layer in norms:
                    layer.momentum = (1.0, 0.5)[number]
                network(x)
                if number == 1:
                    break
            network.eval()
            right = sum(int((network(x).argmax(1) == y).sum()) for x, y in data.batches("valid"))
        accuracies[architecture] = right / 24
    found = selected.architecture
    assert accuracies[found] == max(accuracies.values()) == selected.metrics["selection/accuracy"]
    (record,) = [record for record in caplog.records if record.name == "supernet"]
    assert f"of {len(pool)}: {100 * accuracies[found]:.2f} %" in record.getMessage()


def test_a_constraint_is_respected_and_the_front_of_two_objectives_is_written(tmp_path):
    search = module(Uniform())
    cost = functools.partial(Cost, unit="parameters")
    most = 1.1 * min(parameters(SPACE.network(one)) for one in SPACE.sample(30, torch.Generator().manual_seed(0)))
    constraint = functools.partial(Constraint, cost=cost, most=most)
    selection = EvolutionarySelection(**SMALL, folder=tmp_path, cost=cost, constraint=constraint)
    selection.check(task_of(search, images()))
    selected = selection.select(search, images())
    assert parameters(SPACE.network(selected.architecture)) <= most
    with (tmp_path / "pareto.csv").open(newline="") as file:
        front = list(csv.DictReader(file))
    assert all(float(row["parameters"]) <= most for row in front)
    assert float(front[-1]["score"]) == selected.metrics["selection/accuracy"]


@pytest.mark.parametrize(
    "settings", [{"population": 0}, {"mutation": 2.0}, {"recalibration_batches": 0}, {"batches": 0}]
)
def test_settings_without_sense_are_refused_before_any_search(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        EvolutionarySelection(**settings)
