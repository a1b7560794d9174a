import csv
import json
import math

import pytest
import torch

from search_spaces.darts import DARTS
from supernet.errors import UserError
from supernet.evaluation.choosing import read
from supernet.shrinkage import record
from supernet.shrinkage.base import kept
from supernet.shrinkage.controls import Random
from supernet.shrinkage.lissnas import LISSNAS
from supernet.shrinkage.operations import Operations
from supernet.shrinkage.report import report
from tests.supernet.estimators.tasks import SMALL, task
from tests.supernet.warm_start.planted import Planted

SHRINKAGES = {
    "lissnas": LISSNAS(Planted, n_archs=60, smallest=20, workers=1),
    "operations": Operations(Planted, n_archs=40, workers=1, kappa=0.5),
    "random": Random(20),
}


def saved(folder, name, space=SMALL):
    found = SHRINKAGES[name](task(space))
    record.save(folder, space, found, name, {"size": 3}, report(space, found.space))
    return found


@pytest.mark.parametrize("name", SHRINKAGES)
@pytest.mark.parametrize("space", [SMALL, DARTS(channels=4, layers=3)], ids=lambda space: space.name)
def test_what_is_written_is_read_back(name, space, tmp_path):
    found = saved(tmp_path, name, space)
    again = record.load(tmp_path / record.FILE, space)
    assert again.space.pool == found.space.pool
    assert (again.values, again.rounds, again.effort) == (found.values, found.rounds, found.effort)
    for cell in space.edges:
        assert torch.equal(again.space.allowed[cell], found.space.allowed[cell])
        if found.start is not None:
            torch.testing.assert_close(again.start[cell], found.start[cell], rtol=0, atol=0)
    if found.locality is not None:
        assert again.locality.pairs == found.locality.pairs
        assert [*map(math.isnan, again.locality.pearson)] == [*map(math.isnan, found.locality.pearson)]


def test_the_architectures_are_a_csv_file_with_their_scores(tmp_path):
    found = saved(tmp_path, "lissnas")
    assert tuple(read(str(tmp_path / record.POOL), SMALL)) == found.space.pool
    with (tmp_path / record.POOL).open(newline="") as file:
        assert [float(row["score"]) for row in csv.DictReader(file)] == list(found.values)


def test_a_reader_finds_report_and_rounds(tmp_path):
    found = saved(tmp_path, "lissnas")
    content = json.loads((tmp_path / record.FILE).read_text())
    assert (content["shrinkage"], content["search_space"], content["settings"]) == (
        "lissnas",
        "nasbench201",
        {"size": 3},
    )
    assert content["report"]["size"] == len(found.space.pool)
    assert content["rounds"][0]["size"] == 15_625


def test_a_score_that_is_infinite_is_kept(tmp_path):
    pool = SMALL.sample(2, torch.Generator().manual_seed(0))
    found = kept(SMALL, pool, 0.0, torch.tensor([1.0, -math.inf], dtype=torch.float64))
    record.save(tmp_path, SMALL, found, "x", {}, report(SMALL, found.space))
    assert record.load(tmp_path / record.FILE, SMALL).values == (1.0, -math.inf)


BROKEN = {
    "values that are too few": lambda content: content["values"].pop(),
    "values that are texts": lambda content: content["values"].__setitem__(0, "1"),
    "a round with other numbers": lambda content: content["rounds"][0].update(more=1),
    "a round that is a text": lambda content: content["rounds"][0].update(size="1"),
    "no rounds": lambda content: content.pop("rounds"),
    "a locality of texts": lambda content: content["locality"]["pearson"].__setitem__(0, "x"),
    "a locality of other columns": lambda content: content["locality"].update(kendall=[1.0]),
    "another format": lambda content: content.update(format=9),
    "a pool of nonsense": lambda content: content.update(pool=["x"]),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_file_that_is_something_else_is_refused(what, tmp_path):
    saved(tmp_path, "lissnas")
    path = tmp_path / record.FILE
    content = json.loads(path.read_text())
    BROKEN[what](content)
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"no record of a shrinkage of nasbench201 .*delete it"):
        record.load(path, SMALL)
