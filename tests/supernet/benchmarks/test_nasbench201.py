import pytest

from search_spaces.architecture import Architecture
from search_spaces.nasbench201 import NASBench201
from supernet.benchmarks.base import UnknownRecordError
from supernet.benchmarks.nasbench201 import NASBench201Table

TABLE = NASBench201Table()
SPACE = NASBench201()


def test_the_best_architecture_on_cifar10_is_the_published_one():
    best = TABLE.architecture(13714)
    assert TABLE.query(best, "cifar10").accuracy == pytest.approx(94.37, abs=0.005)
    assert TABLE.rank(best, "cifar10") == 1
    assert TABLE.percentile(best, "cifar10") == 100


def test_the_table_has_the_published_statistics():
    assert len(TABLE) == 15_625
    valid = TABLE.accuracies("cifar10-valid")
    assert valid.mean() == pytest.approx(83.35, abs=0.005)
    assert valid.max() == pytest.approx(91.57, abs=0.005)
    assert valid.argmax() == 1459
    assert (valid >= 91).sum() == 32
    short = TABLE.accuracies("cifar10-valid", epochs=12)
    assert short.mean() == pytest.approx(68.85, abs=0.005)
    assert short.argmax() == 13714


def test_disconnected_architectures_are_at_chance():
    disconnected = [a for a in SPACE.enumerate() if not SPACE.is_valid(a)]
    assert {TABLE.query(a, "cifar10-valid").accuracy for a in disconnected} == {10.0}


def test_all_skip_is_where_darts_ends_up():
    assert TABLE.query(TABLE.architecture(1835), "cifar10-valid").accuracy == pytest.approx(39.98, abs=0.005)


def test_a_record_says_what_it_is():
    record = TABLE.query(TABLE.architecture(0), "cifar10-valid", epochs=12)
    assert (record.accuracy, record.dataset, record.epochs) == (63.364, "cifar10-valid", 12)


def test_rank_counts_the_better_ones():
    accuracies = TABLE.accuracies("cifar100")
    for index in (0, 77, 9999):
        better = int((accuracies > accuracies[index]).sum())
        assert TABLE.rank(TABLE.architecture(index), "cifar100") == 1 + better


@pytest.mark.parametrize(("dataset", "epochs"), [("imagenet", None), ("cifar10", 12), ("cifar100", 90)])
def test_what_is_missing_is_an_error_that_lists_what_there_is(dataset, epochs):
    with pytest.raises(UnknownRecordError, match=rf"{dataset}.*there are cifar10 after 200 epochs"):
        TABLE.query(TABLE.architecture(0), dataset, epochs)


def test_an_architecture_of_another_space_has_no_record():
    with pytest.raises(UnknownRecordError, match="no architecture of NAS-Bench-201"):
        TABLE.query(Architecture.of({"normal": [0]}), "cifar10")
