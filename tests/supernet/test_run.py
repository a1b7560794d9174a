import pytest

from supernet.benchmarks.nasbench201 import NASBench201Table
from supernet.data.synthetic import Synthetic
from supernet.errors import UserError
from supernet.run import build_benchmark, build_space, flat
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


def test_hyper_parameters_are_the_choices_and_then_what_can_differ():
    cfg = composed("search", "relaxation=dirichlet", "relaxation.anchor=kl", "epochs=7", "+choices={data: digits}")
    values = flat(cfg)
    assert next(iter(values)) == "data"
    assert values["relaxation.anchor"] == "kl"
    assert values["epochs"] == 7
    assert values["weight_optimizer.lr"] == 0.025
    assert not any("_target_" in name or name.startswith(("callbacks", "logger", "benchmark")) for name in values)
    assert "scheduler.T_max" not in values  # it only repeats epochs
