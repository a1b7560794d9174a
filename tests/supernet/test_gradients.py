import torch

from supernet.gradients import detached, grad, norm


def test_an_input_that_does_not_matter_has_a_zero_gradient():
    used, unused = torch.ones(2, requires_grad=True), torch.ones(3, requires_grad=True)
    gradients = grad((used**2).sum(), [used, unused])
    assert torch.equal(gradients[0], torch.full((2,), 2.0))
    assert torch.equal(gradients[1], torch.zeros(3))


def test_the_norm_is_that_of_all_tensors_together():
    assert norm([torch.tensor([3.0]), torch.tensor([[4.0]])]) == 5.0


def test_detached_shares_values_and_asks_for_nothing():
    w = torch.ones(2, requires_grad=True)
    (copy,) = detached([w])
    assert copy.data_ptr() == w.data_ptr()
    assert not copy.requires_grad
