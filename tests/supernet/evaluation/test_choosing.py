from collections import Counter

import pytest

from search_spaces.darts import DARTS
from search_spaces.nasbench201 import NASBench201
from supernet.errors import UserError
from supernet.evaluation import choosing
from supernet.evaluation.choosing import chosen, read, write

SPACE = NASBench201()
LARGE = DARTS()


@pytest.mark.parametrize("space", [SPACE, LARGE], ids=lambda space: space.name)
def test_so_many_different_architectures_are_drawn(space):
    drawn = chosen("300", space, seed=1)
    assert len(set(drawn)) == len(drawn) == 300
    assert all(space.contains(one) for one in drawn)
    assert chosen("300", space, seed=1) == drawn
    assert chosen("300", space, seed=2) != drawn


def test_all_are_the_whole_space_once():
    assert len(set(chosen("all", SPACE, seed=0))) == 15_625


def test_the_filter_leaves_what_its_name_says():
    assert len(chosen("all", SPACE, 0, "valid")) == 15_284
    assert len(chosen("all", SPACE, 0, "no_dangling")) == 9_445
    assert all(map(SPACE.is_valid, chosen("500", SPACE, 0, "valid")))
    assert all(map(SPACE.has_no_dangling_operation, chosen("500", SPACE, 0, "no_dangling")))
    assert all(map(LARGE.is_valid, chosen("20", LARGE, 0, "valid")))


def test_of_each_class_one_is_left(tmp_path):
    everything = chosen("all", SPACE, 0, "unique")
    assert len({SPACE.published_class(one) for one in everything}) == len(everything) == 6_466
    assert set(chosen("50", SPACE, 1, "unique")) <= set(everything)
    write(tmp_path / "archs.csv", reversed(list(SPACE.enumerate())[:500]), SPACE)
    read_back = chosen(str(tmp_path / "archs.csv"), SPACE, 0, "unique")
    assert len({SPACE.published_class(one) for one in read_back}) == len(read_back) < 500
    with pytest.raises(UserError, match=r"filter=unique: darts has no published classes .*use filter=valid"):
        chosen("10", LARGE, 0, "unique")


@pytest.mark.parametrize("listed", [0, 100_000])
def test_every_architecture_is_as_likely_as_the_others(listed, monkeypatch):
    monkeypatch.setattr(choosing, "LISTED", listed)
    small = SPACE.restrict(pool=tuple(SPACE.enumerate())[:6])
    counts = Counter(one for seed in range(600) for one in chosen("2", small, seed))
    assert len(counts) == 6
    assert all(150 < count < 250 for count in counts.values())


@pytest.mark.parametrize("listed", [0, 100_000])
def test_more_than_there_are_cannot_be_drawn(listed, monkeypatch):
    monkeypatch.setattr(choosing, "LISTED", listed)
    small = SPACE.restrict(pool=tuple(SPACE.enumerate())[:6])
    assert len(chosen("6", small, 0)) == 6
    with pytest.raises(UserError, match="architectures=7, but nasbench201 was found to have only 6"):
        chosen("7", small, 0)


def test_a_space_without_the_notion_of_dangling_says_so():
    with pytest.raises(UserError, match=r"filter=no_dangling: darts .*use filter=valid"):
        chosen("10", LARGE, 0, "no_dangling")


def test_an_unknown_filter_lists_what_there_is():
    with pytest.raises(UserError, match="filter=good: it must be one of none, valid, no_dangling, unique"):
        chosen("10", SPACE, 0, "good")


def test_a_space_that_is_too_large_is_not_listed():
    with pytest.raises(UserError, match=r"architectures=all: darts has .* sample them instead"):
        chosen("all", LARGE, 0)


@pytest.mark.parametrize("text", ["1", "0", "-3", "many", "/nowhere/archs.csv"])
def test_what_names_no_architectures_is_refused(text):
    with pytest.raises(UserError, match="a number of at least 2, `all`, or a csv file"):
        chosen(text, SPACE, 0)


def test_a_file_is_read_back_each_architecture_once_and_filtered(tmp_path):
    drawn = chosen("20", SPACE, 0)
    write(tmp_path / "archs.csv", [*drawn, *drawn[:5]], SPACE)
    assert read(str(tmp_path / "archs.csv"), SPACE) == [*drawn, *drawn[:5]]
    assert chosen(str(tmp_path / "archs.csv"), SPACE, 0) == drawn
    kept = chosen(str(tmp_path / "archs.csv"), SPACE, 0, "no_dangling")
    assert kept == [one for one in drawn if SPACE.has_no_dangling_operation(one)]


@pytest.mark.parametrize(("content", "message"), [
    ("a,b\n1,2\n", "has no column `arch`"), ("arch\n\n|none~0|\n", "line 3: "), ("arch\n", "names 0 architectures"),
    (f'arch\n"{"x" * 200_000}"\n', "archs.csv, line 2: field larger than field limit"),
])  # fmt: skip
def test_a_file_that_does_not_fit_is_refused(content, message, tmp_path):
    (tmp_path / "archs.csv").write_text(content)
    with pytest.raises(UserError, match=message):
        chosen(str(tmp_path / "archs.csv"), SPACE, 0)
