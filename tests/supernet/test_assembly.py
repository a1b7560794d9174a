import pytest

from supernet.assembly import build_benchmark, build_estimator, build_space
from supernet.benchmarks.nasbench201 import NASBench201Table
from supernet.data.sampling import samples
from supernet.data.synthetic import Synthetic
from supernet.errors import UserError
from supernet.estimators.base import Task
from tests.contracts.configurations import composed

IMAGES = Synthetic(num_classes=4, channels=2, size=8, num_images=40)


def test_a_space_takes_channels_and_classes_from_the_images():
    space = build_space(composed("search").search_space, IMAGES)
    assert (space.in_channels, space.num_classes) == (2, 4)
    same = build_space(composed("search", "search_space.num_classes=4").search_space, IMAGES)
    assert same.arguments == space.arguments
    with pytest.raises(UserError, match=r"search_space.in_channels=3, but the images have 2"):
        build_space(composed("search", "search_space.in_channels=3").search_space, IMAGES)


def test_a_table_of_another_space_is_refused(monkeypatch):
    space = build_space(composed("search").search_space, IMAGES)
    assert build_benchmark(composed("search", "benchmark=none").benchmark, space) is None
    monkeypatch.setattr(NASBench201Table, "space", "darts")
    with pytest.raises(UserError, match="benchmark=none"):
        build_benchmark(composed("search").benchmark, space)


def test_an_estimator_that_does_not_fit_the_task_is_refused():
    space = build_space(composed("evaluate").search_space, IMAGES)
    task = Task(space, samples(IMAGES, 0))
    cfg = composed("evaluate", "estimator=naswot", "estimator.batch_size=41").estimator
    with pytest.raises(UserError, match=r"estimator: batch_size is 41, but there are 20 images"):
        build_estimator(cfg, task)
    cfg._partial_ = False
    with pytest.raises(UserError, match=r"estimator: .*task"):
        build_estimator(cfg, task)
