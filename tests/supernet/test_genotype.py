import json

import pytest

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
