"""Costly features are measured once."""

import csv
import functools

import numpy as np
import pytest

from supernet.estimators.base import Measured
from supernet.estimators.features.measured import Measurements
from supernet.evaluation.features import FEATURES, measure
from tests.supernet.estimators.predictors.examples import architectures
from tests.supernet.estimators.tasks import SMALL, task

SOME = architectures(6)
MEASURED = []


class Counting(Measured):
    def __init__(self, some):
        pass

    def measurements(self, architecture):
        MEASURED.append(architecture)
        return (float(sum(architecture["cell"])),)


COUNTING = functools.partial(Measurements, estimators={"sum": Counting})


def test_rows_are_those_of_the_features_and_an_interrupted_file_goes_on(tmp_path):
    MEASURED.clear()
    measure(COUNTING, task(), SOME[:4], tmp_path, workers=1)
    assert SOME[:4] == MEASURED
    lines = (tmp_path / FEATURES).read_text().splitlines(keepends=True)
    (tmp_path / FEATURES).write_text("".join(lines[:3]) + lines[3][:20])
    known = measure(COUNTING, task(), SOME, tmp_path, workers=1)
    assert MEASURED[4:] == SOME[2:]
    assert known.names == ("sum",)
    assert np.array_equal(known.table(SOME), COUNTING(task()).table(SOME))
    with (tmp_path / FEATURES).open(newline="") as file:
        assert [SMALL.parse(row["arch"]) for row in csv.DictReader(file)] == SOME


def test_what_was_not_measured_is_not_known(tmp_path):
    with pytest.raises(ValueError, match="not known"):
        measure(COUNTING, task(), SOME[:2], tmp_path, workers=1).table(SOME[2:3])
