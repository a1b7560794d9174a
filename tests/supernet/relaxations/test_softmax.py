import torch

from supernet.relaxations.softmax import Softmax

ALL = torch.ones(6, 5, dtype=torch.bool)


def test_it_is_the_softmax_of_the_allowed_operations(generator):
    alpha = torch.randn(6, 5, generator=generator, dtype=torch.float64)
    allowed = ALL.clone()
    allowed[2, 1:3] = False
    weights = Softmax()(alpha, allowed)
    torch.testing.assert_close(weights[0], alpha[0].exp() / alpha[0].exp().sum())
    kept = alpha[2, [0, 3, 4]].exp()
    torch.testing.assert_close(weights[2, [0, 3, 4]], kept / kept.sum())
    assert weights[2, 1:3].tolist() == [0, 0]


def test_the_jacobian_is_the_closed_form(generator):
    alpha = torch.randn(1, 5, generator=generator, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(lambda a: Softmax()(a, ALL[:1]), alpha)[0, :, 0]
    p = Softmax()(alpha, ALL[:1])[0]
    torch.testing.assert_close(jacobian, torch.diag(p) - torch.outer(p, p))


def test_it_has_no_penalty(generator):
    assert Softmax().penalty(torch.randn(6, 5, generator=generator), ALL) == 0
