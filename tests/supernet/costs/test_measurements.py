import csv
import json

import pytest

from search_spaces.darts import DARTS
from supernet.costs.measurements import Measurements
from supernet.costs.survey import survey
from supernet.errors import UserError
from tests.supernet.costs.tables import measurements

SPACE = DARTS(channels=4, layers=3)
IMAGE = (3, 8, 10)


def test_what_was_saved_is_read_back_from_the_file_and_from_its_folder(tmp_path):
    found = measurements(SPACE, IMAGE)
    path = found.save(tmp_path)
    assert Measurements.load(path) == Measurements.load(tmp_path) == found


def test_the_times_are_written_as_a_table_too(tmp_path):
    found = measurements(SPACE, IMAGE)
    found.save(tmp_path)
    with (tmp_path / "latency.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["milliseconds"]) for row in rows] == [timed.milliseconds for timed in found.operations]
    assert rows[0]["operation"] == "avg_pool_3x3"
    assert {row["input"] for row in rows} == {"4x8x10", "8x8x10", "8x4x5", "16x4x5", "16x2x3"}


def test_the_times_are_known_for_the_places_of_the_measured_network_only():
    found = measurements(SPACE, IMAGE)
    assert len(found.times(survey(SPACE, IMAGE).places)) == len(found.operations)
    assert found.times(survey(DARTS(channels=4, layers=3, none=False, num_classes=7), IMAGE).places) is not None
    for other, image in ((DARTS(4, 4), IMAGE), (DARTS(5, 3), IMAGE), (SPACE, (3, 8, 8))):
        assert found.times(survey(other, image).places) is None


@pytest.mark.parametrize(("change", "message"), [
    (lambda content: "{", "is no table of latencies: JSONDecodeError"),
    (lambda content: "[]", "is no table of latencies: TypeError|AttributeError"),
    (lambda content: json.dumps(content | {"format": 9}), "of format 1, the one this version reads"),
    (lambda content: json.dumps(content | {"fixed": -1}), "ValueError: -1 is no time"),
    (lambda content: json.dumps(content | {"fixed": float("nan")}), "nan is no time"),
    (lambda content: json.dumps(content | {"image": [3, 8]}), "is no table of latencies: ValueError"),
    (lambda content: json.dumps(content | {"surplus": 1}), "surplus"),
    (lambda content: json.dumps({k: v for k, v in content.items() if k != "operations"}), "KeyError: 'operations'"),
    (lambda content: json.dumps(content | {"operations": [{"shape": 1}]}), "is no table of latencies: TypeError"),
    (lambda content: " " * 5_000_000, "has 5,000,000 bytes"),
])  # fmt: skip
def test_a_file_that_is_something_else_is_refused(change, message, tmp_path):
    path = measurements(SPACE, IMAGE).save(tmp_path)
    path.write_text(change(json.loads(path.read_text())))
    with pytest.raises(UserError, match=message):
        Measurements.load(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"latency.json: there is no such file; give a latency.json"):
        Measurements.load(tmp_path)
