import pytest
import torch

from supernet.schedulers import LinearWithWarmup, StagedCosine


def rates(epochs: int, stages: int, **arguments) -> list[float]:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.025)
    scheduler = StagedCosine(optimizer, epochs, stages, **arguments)
    found = []
    for _ in range(epochs):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


def test_each_stage_is_torchs_cosine_from_the_start():
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.025)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 25, eta_min=0.001)
    expected = []
    for _ in range(25):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        cosine.step()
    assert rates(75, 3, eta_min=0.001) == pytest.approx(expected * 3)


def test_it_goes_on_from_its_state():
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.025)
    scheduler = StagedCosine(optimizer, 9, 3)
    for _ in range(4):
        optimizer.step()
        scheduler.step()
    state = scheduler.state_dict()
    other = StagedCosine(torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.025), 9, 3)
    other.load_state_dict(state)
    scheduler.step()
    other.step()
    assert other.get_last_lr() == scheduler.get_last_lr()


def test_stages_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="3 stages"):
        rates(2, 3)


def test_a_warm_up_rises_and_then_the_rate_falls_linearly_to_nothing():
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.5)
    scheduler = LinearWithWarmup(optimizer, epochs=250, warmup=5)
    found = []
    for _ in range(250):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert found[:5] == pytest.approx([0.5 * (epoch + 1) / 5 * (250 - epoch) / 250 for epoch in range(5)])
    assert found[5:] == pytest.approx([0.5 * (250 - epoch) / 250 for epoch in range(5, 250)])
    assert optimizer.param_groups[0]["lr"] == 0
    with pytest.raises(ValueError, match="warmup is -1"):
        LinearWithWarmup(optimizer, epochs=250, warmup=-1)
