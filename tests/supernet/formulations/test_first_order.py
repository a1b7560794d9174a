import torch

from supernet.formulations.first_order import FirstOrder
from tests.problems import Quadratic


def test_alpha_follows_the_validation_loss_and_the_weights_the_training_loss():
    q = Quadratic.random()
    (alpha,) = FirstOrder().arch_grads(q.problem(), q.train, q.valid)
    (w,) = FirstOrder().weight_grads(q.problem(), q.train, q.valid)
    torch.testing.assert_close(alpha, q.d_alpha("valid"))
    torch.testing.assert_close(w, q.d_w("train"))


def test_each_pass_asks_only_for_what_it_needs():
    q, calls = Quadratic.random(), []
    FirstOrder().arch_grads(q.problem(calls=calls), q.train, q.valid)
    FirstOrder().weight_grads(q.problem(calls=calls), q.train, q.valid)
    assert calls == ["valid:alpha", "train:w"]
