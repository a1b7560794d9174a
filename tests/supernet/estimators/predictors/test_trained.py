"""Trained architectures in files."""

import pytest

from supernet.errors import UserError
from supernet.estimators.predictors.trained import TRAINED, read_trained, write_trained
from tests.supernet.estimators.predictors.examples import accuracies, architectures
from tests.supernet.estimators.tasks import SMALL

SOME = architectures(5)


def test_what_is_written_is_read_back_from_the_file_or_its_folder(tmp_path):
    write_trained(tmp_path / TRAINED, SOME, accuracies(SOME), SMALL)
    for source in (tmp_path, tmp_path / TRAINED, str(tmp_path)):
        assert read_trained(source, SMALL) == (SOME, accuracies(SOME).tolist())


def test_too_few_and_none_are_refused(tmp_path):
    write_trained(tmp_path / TRAINED, SOME[:1], [1.0], SMALL)
    with pytest.raises(UserError, match="has 1 trained architectures"):
        read_trained(tmp_path, SMALL)
    with pytest.raises(UserError, match=r"no such file.*columns arch and accuracy"):
        read_trained(tmp_path / "absent", SMALL)
