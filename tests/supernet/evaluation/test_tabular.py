import dataclasses

import pytest

from search_spaces.nasbench201 import benchmark_order
from search_spaces.nasbench_macro import NASBenchMacro
from supernet.benchmarks.nasbench201 import NASBench201Table
from supernet.evaluation.tabular import Tabular
from tests.contracts.configurations import composed
from tests.supernet.estimators.tasks import SMALL, task

TABLE = NASBench201Table()


def test_the_score_is_what_the_table_records():
    few = [benchmark_order()[index] for index in (13714, 1462, 81)]
    for dataset, epochs in (("cifar10-valid", 12), ("cifar10-valid", None), ("cifar100", None)):
        column = TABLE.accuracies(dataset, epochs)
        made = Tabular(task(SMALL), TABLE, dataset, epochs)
        assert made.score(few).tolist() == [column[13714], column[1462], column[81]]


def test_another_space_or_record_is_refused():
    with pytest.raises(ValueError, match="the table knows nasbench201, not nasbench_macro"):
        Tabular(task(NASBenchMacro(channels=4)), TABLE, "cifar10")
    with pytest.raises(ValueError, match="there are cifar10 after 200 epochs"):
        Tabular(task(SMALL), TABLE, "cifar10", 12)


def test_the_configured_score_is_not_the_test_accuracy():
    from hydra.utils import instantiate

    made = instantiate(composed("evaluate", "estimator=table").estimator)(dataclasses.replace(task(SMALL)))
    assert made.dataset == "cifar10-valid"
