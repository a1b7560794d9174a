import torch

from supernet.formulations.single_level import SingleLevel
from tests.problems import Quadratic


def test_alpha_and_weights_follow_the_training_loss_from_one_pass():
    q, calls = Quadratic.random(), []
    (alpha,), (w,) = SingleLevel().joint_grads(q.problem(calls=calls), q.train, q.valid)
    torch.testing.assert_close(alpha, q.d_alpha("train"))
    torch.testing.assert_close(w, q.d_w("train"))
    assert calls == ["train:w+alpha"]
    assert torch.equal(SingleLevel().arch_grads(q.problem(), q.train, q.valid)[0], alpha)
