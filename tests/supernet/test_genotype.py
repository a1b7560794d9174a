import dataclasses
import json
import math

import pytest

from search_spaces.darts import DARTS
from search_spaces.published import DARTS as PUBLISHED
from supernet.errors import UserError
from supernet.genotype import FILE, Genotype, git_revision, resolve, versions

GENOTYPE = Genotype("nasbench201", "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|", {"channels": 4}, {"seconds": 1.5})


def test_what_is_saved_is_loaded_from_the_folder_and_from_the_file(tmp_path):
    path = GENOTYPE.save(tmp_path)
    assert Genotype.load(tmp_path) == Genotype.load(path) == resolve(str(tmp_path)) == GENOTYPE


def test_a_text_is_an_architecture_and_a_missing_file_is_an_error():
    assert resolve(GENOTYPE.architecture) == GENOTYPE.architecture
    for text in ("logs/none", "genotype.json"):
        with pytest.raises(UserError, match="no such file"):
            resolve(text)


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_name_is_an_architecture_of_its_space(name):
    found = resolve(name)
    assert (found.search_space, found.architecture) == ("darts", PUBLISHED[name])
    assert DARTS().contains(DARTS().parse(found.architecture))


@pytest.mark.parametrize(("text", "hint"), [
    ("darts_v3", "did you mean darts_v[12]"), ("DrNAS", "did you mean drnas"), ("pdart", "did you mean pdarts"),
    ("unheard-of", "there are darts_v1, darts_v2, pdarts"), ("darts_v1,drnas", "one after the other, add -m"),
])  # fmt: skip
def test_an_unknown_name_says_which_there_are(text, hint):
    with pytest.raises(UserError, match=f"genotype={text}: .*{hint}"):
        resolve(text)


def test_a_name_is_found_beside_a_folder_called_the_same_but_not_beside_such_a_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "drnas").mkdir()
    assert resolve("drnas").architecture == PUBLISHED["drnas"]
    GENOTYPE.save(tmp_path / "drnas")
    with pytest.raises(UserError, match=r"use \./drnas for the folder"):
        resolve("drnas")
    assert resolve("./drnas") == GENOTYPE


def test_digits_are_an_architecture_not_a_name():
    assert resolve("22212220") == "22212220"


def test_a_folder_without_a_genotype_says_how_to_get_one(tmp_path):
    with pytest.raises(UserError, match=f"resume={tmp_path}"):
        Genotype.load(tmp_path)


@pytest.mark.parametrize("content", [
    "", "{", "[]", "null", '"text"', "{}", '{"format": 2}', "[" * 100_000, '{"format": 1, "search_space": "x"}',
    json.dumps({"format": 1, "search_space": ["x"], "architecture": "y"}), "\x00\x01",
])  # fmt: skip
def test_a_crafted_or_broken_file_is_an_error(content, tmp_path):
    (tmp_path / FILE).write_text(content)
    with pytest.raises(UserError, match="is no genotype"):
        Genotype.load(tmp_path)


def test_a_huge_file_is_not_read(tmp_path):
    (tmp_path / FILE).write_bytes(b" " * (5 * 2**20))
    with pytest.raises(UserError, match="bytes"):
        Genotype.load(tmp_path)


def test_versions_and_revision_are_recorded():
    assert {"python", "torch", "pytorch-lightning", "supernet"} <= set(versions())
    revision = git_revision()
    assert revision is None or len(revision.rstrip("+")) == 40


def test_what_is_not_finite_is_null_in_the_file_and_not_a_number_when_it_is_read(tmp_path):
    metrics = {"a": math.inf, "b": -math.inf, "c": math.nan, "d": 0.5}
    path = dataclasses.replace(GENOTYPE, metrics=metrics, config={"bounds": [math.inf, 1]}).save(tmp_path)
    written = json.loads(path.read_text(), parse_constant=pytest.fail)
    assert written["metrics"] == {"a": None, "b": None, "c": None, "d": 0.5}
    assert written["config"] == {"bounds": [None, 1]}
    found = Genotype.load(path).metrics
    assert found.pop("d") == 0.5
    assert all(map(math.isnan, found.values()))


def test_older_files_with_infinite_numbers_are_read(tmp_path):
    path = GENOTYPE.save(tmp_path)
    path.write_text(path.read_text().replace("1.5", "-Infinity"))
    assert Genotype.load(path).metrics == {"seconds": -math.inf}
