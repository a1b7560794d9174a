import json
import math

import pytest
import torch

from search_spaces.darts import DARTS
from supernet.errors import UserError
from supernet.warm_start import record
from supernet.warm_start.base import Effort, Outcome
from supernet.warm_start.controls import Random
from tests.supernet.estimators.tasks import SMALL, task

TWO = DARTS(channels=4, layers=3)


def outcome(space, **arguments):
    found = Random(**{"kappa": 0.5, **arguments})(task(space))
    return Outcome(found.space, found.scores, found.start, Effort(150, 300, 450, 61.5))


def saved(folder, space, found):
    record.save(folder, space, found, "random", {"drop": 0.25})
    return folder / record.FILE


@pytest.mark.parametrize("space", [SMALL, TWO], ids=lambda space: space.name)
def test_what_is_written_is_read_back(space, tmp_path):
    found = outcome(space)
    again = record.load(saved(tmp_path, space, found), space)
    for cell in space.edges:
        assert torch.equal(again.space.allowed[cell], found.space.allowed[cell])
        torch.testing.assert_close(again.scores[cell], found.scores[cell], equal_nan=True, rtol=0, atol=0)
        torch.testing.assert_close(again.start[cell], found.start[cell], rtol=0, atol=0)
    assert again.effort == found.effort
    assert again.space.pool is None


def test_a_pool_and_what_has_no_scores_are_read_back(tmp_path):
    pool = SMALL.sample(5, torch.Generator().manual_seed(0))
    found = Outcome(SMALL.restrict(pool=pool))
    again = record.load(saved(tmp_path, SMALL, found), SMALL)
    assert again.space.pool == found.space.pool
    assert again.scores is again.start is None


def test_a_reader_finds_what_was_done(tmp_path):
    found = outcome(SMALL)
    content = json.loads(saved(tmp_path, SMALL, found).read_text())
    assert (content["seconds"], content["networks"], content["forwards"], content["backwards"]) == (61.5, 150, 300, 450)
    assert (content["warm_start"], content["search_space"], content["settings"]) == (
        "random",
        "nasbench201",
        {"drop": 0.25},
    )
    cell = content["cells"]["cell"]
    assert sum(map(len, cell["dropped"])) == 10
    for edge in range(6):
        assert sorted(cell["kept"][edge] + cell["dropped"][edge]) == sorted(SMALL.operations["cell"])
    assert cell["edges"][3] == [0, 3]
    assert cell["scores"][2][1] == pytest.approx(float(found.scores["cell"][2, 1]))


def test_it_says_in_words_what_was_dropped():
    allowed = SMALL.allowed["cell"].clone()
    allowed[[0, 3], 0] = allowed[5, 4] = False
    assert record.describe(SMALL, {"cell": allowed}) == "none: 0→1 0→3; avg_pool_3x3: 2→3"
    assert record.describe(SMALL, SMALL.allowed) == "nothing"
    tables = {cell: table.clone() for cell, table in TWO.allowed.items()}
    tables["reduce"][1, 3] = False
    assert record.describe(TWO, tables) == "reduce skip_connect: 1→2"


def without(content, key):
    del content[key]


BROKEN = {  # each changes the file's content, or its one cell type
    "another format": lambda content, cell: content.update(format=2),
    "another space": lambda content, cell: content.update(search_space="darts"),
    "a cell type more": lambda content, cell: content["cells"].update(more={}),
    "cells that are a list": lambda content, cell: content.update(cells=[]),
    "no scores": lambda content, cell: without(cell, "scores"),
    "a score that is a text": lambda content, cell: cell["scores"][0].__setitem__(0, "1"),
    "a score that is infinite": lambda content, cell: cell["scores"][0].__setitem__(0, math.inf),
    "a row that is short": lambda content, cell: cell["scores"][1].pop(),
    "rows that are no lists": lambda content, cell: cell.update(start=5),
    "an edge that is missing": lambda content, cell: cell["kept"].pop(),
    "an edge without operations": lambda content, cell: cell["kept"][0].clear(),
    "an unknown operation": lambda content, cell: cell["kept"][0].append("os.system"),
    "other operations": lambda content, cell: cell["operations"].reverse(),
    "other edges": lambda content, cell: cell["edges"].reverse(),
    "kept as a text": lambda content, cell: cell["kept"].__setitem__(0, "none"),
    "seconds as a text": lambda content, cell: content.update(seconds="1"),
    "negative seconds": lambda content, cell: content.update(seconds=-1.0),
    "no seconds": lambda content, cell: without(content, "seconds"),
    "a pool that is no architecture": lambda content, cell: content.update(pool=["|none~0|"]),
    "a pool that is a number": lambda content, cell: content.update(pool=3),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_file_that_is_something_else_is_refused_with_the_remedy(what, tmp_path):
    path = saved(tmp_path, SMALL, outcome(SMALL))
    content = json.loads(path.read_text())
    BROKEN[what](content, content["cells"]["cell"])
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"is no record of a warm start of nasbench201 .*delete it"):
        record.load(path, SMALL)


def test_what_is_no_json_or_far_too_large_is_refused(tmp_path, monkeypatch):
    path = saved(tmp_path, SMALL, outcome(SMALL))
    monkeypatch.setattr(record, "LARGEST", 100)
    with pytest.raises(UserError, match="bytes: that is no record"):
        record.load(path, SMALL)
    monkeypatch.undo()
    for text in ("{" * 100, "[]", "3"):
        path.write_text(text)
        with pytest.raises(UserError, match="is no record"):
            record.load(path, SMALL)
