"""Features from memory and from files."""

import math

import pytest

from supernet.errors import UserError
from supernet.estimators.features.known import Known, ScoreFiles, read_column
from tests.supernet.estimators.tasks import SMALL, task

ONE, OTHER, THIRD = list(SMALL.enumerate())[:3]


def written(path, rows, header="arch,score,seconds"):
    lines = [header, *(f"{SMALL.format(one)},{score},0.1" for one, score in rows)]
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def test_rows_are_looked_up_in_the_order_asked_for():
    known = Known(("a", "b"), {ONE: (1.0, 2.0), OTHER: (3.0, 4.0)})
    assert known.table([OTHER, ONE, OTHER]).tolist() == [[3, 4], [1, 2], [3, 4]]
    assert known.table([]).shape == (0, 2)
    with pytest.raises(ValueError, match="not known"):
        known.table([THIRD])


def test_scores_of_several_files_are_features(tmp_path):
    naswot = written(tmp_path / "a.csv", [(ONE, 1.0), (OTHER, -math.inf)])
    snip = written(tmp_path / "b.csv", [(OTHER, 0.0), (THIRD, 5.0), (ONE, -3.0)])
    features = ScoreFiles(task(), {"naswot": naswot, "snip": snip})
    assert features.names == ("naswot", "snip")
    assert features.table([ONE])[0] == pytest.approx([math.log(2), -math.log(4)])
    assert features.table([OTHER])[0].tolist() == [-math.inf, 0.0]
    with pytest.raises(UserError, match="not in all files"):
        features.table([THIRD])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("arch,accuracy\n", "has no column `score`; its columns, separated by commas, are .arch., .accuracy."),
        ("", "has no column `arch`; .* are none"),
        ("arch,score\nnonsense,1\n", "line 2"),
        (f"arch,score\n{SMALL.format(ONE)},much\n", "line 2: score is 'much'"),
        (f"arch,score\n{SMALL.format(ONE)},1\n{SMALL.format(ONE)},2\n", "line 3.*second, other"),
        (f"arch,score\n{SMALL.format(ONE)}\n", "line 2: score is ''"),
        (f"arch,score\n{SMALL.format(ONE)},nan\n", "line 2: score is 'nan', not a number"),
    ],
)
def test_a_broken_file_is_refused_by_its_line(tmp_path, content, reason):
    path = tmp_path / "scores.csv"
    path.write_text(content)
    with pytest.raises(UserError, match=reason):
        read_column(path, "score", SMALL)


def test_a_file_may_begin_with_a_mark_and_must_be_text(tmp_path):
    path = tmp_path / "scores.csv"
    path.write_text(f"arch,score\n{SMALL.format(ONE)},1\n", encoding="utf-8-sig")
    assert read_column(path, "score", SMALL) == {ONE: 1.0}
    path.write_text("arch,score\n", encoding="utf-16")
    with pytest.raises(UserError, match="is no text in UTF-8"):
        read_column(path, "score", SMALL)


def test_absent_files_are_refused(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        ScoreFiles(task(), {"naswot": tmp_path / "absent.csv"})
    with pytest.raises(ValueError, match=r"features\.files\.naswot"):
        ScoreFiles(task(), {})
