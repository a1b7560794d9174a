from supernet.run import flat
from tests.contracts.configurations import composed


def test_hyper_parameters_are_the_choices_and_then_what_can_differ():
    cfg = composed("search", "relaxation=dirichlet", "relaxation.anchor=kl", "epochs=7", "+choices={data: digits}")
    values = flat(cfg)
    assert next(iter(values)) == "data"
    assert values["relaxation.anchor"] == "kl"
    assert values["epochs"] == 7
    assert values["weight_optimizer.lr"] == 0.025
    assert not any("_target_" in name or name.startswith(("callbacks", "logger", "benchmark")) for name in values)
    assert "scheduler.T_max" not in values  # it only repeats epochs
