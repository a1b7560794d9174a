import pytest
import torch

from supernet.formulations.first_order import FirstOrder
from supernet.formulations.mixed_level import MixedLevel
from supernet.formulations.single_level import SingleLevel
from tests.problems import Quadratic


@pytest.mark.parametrize(("train", "val"), [(1.0, 1.0), (0.1, 1.0), (1.0, 0.25), (0.0, 1.0), (1.0, 0.0)])
def test_both_losses_count_with_their_weights_whichever_way_it_is_computed(train, val):
    q, formulation = Quadratic.random(), MixedLevel(train, val)
    expected = train * q.d_alpha("train") + val * q.d_alpha("valid")
    (separate,) = formulation.arch_grads(q.problem(), q.train, q.valid)
    (joint,), (w,) = formulation.joint_grads(q.problem(), q.train, q.valid)
    torch.testing.assert_close(separate, expected)
    torch.testing.assert_close(joint, expected)
    torch.testing.assert_close(w, q.d_w("train"))


def test_without_the_training_loss_it_is_bilevel_and_without_the_validation_loss_single_level():
    q = Quadratic.random()
    for formulation, same in ((MixedLevel(0, 1), FirstOrder()), (MixedLevel(1, 0), SingleLevel())):
        assert torch.equal(
            formulation.arch_grads(q.problem(), q.train, q.valid)[0], same.arch_grads(q.problem(), q.train, q.valid)[0]
        )


def test_the_simultaneous_step_costs_two_passes_and_the_sequential_one_three():
    q, calls = Quadratic.random(), []
    MixedLevel().joint_grads(q.problem(calls=calls), q.train, q.valid)
    assert calls == ["train:w+alpha", "valid:alpha"]
    calls.clear()
    sequential = MixedLevel(simultaneous=False)
    sequential.arch_grads(q.problem(calls=calls), q.train, q.valid)
    sequential.weight_grads(q.problem(calls=calls), q.train, q.valid)
    assert calls == ["train:alpha", "valid:alpha", "train:w"]


@pytest.mark.parametrize(("train", "val"), [(-1, 1), (1, -1), (0, 0)])
def test_weights_that_make_no_sense_are_refused(train, val):
    with pytest.raises(ValueError, match="neither may be negative"):
        MixedLevel(train, val)
