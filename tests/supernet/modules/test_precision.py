import pytest
import torch

from supernet.errors import UserError
from supernet.formulations.first_order import FirstOrder
from supernet.formulations.second_order import SecondOrder
from supernet.modules.precision import check_precision, cosine, full_precision, half

CPU = torch.device("cpu")


@pytest.mark.parametrize("precision", ["16-mixed", "16-true", 16, "bf16-true"])
def test_sixteen_bits_without_loss_scaling_are_refused_with_the_remedy(precision):
    with pytest.raises(UserError, match="bf16-mixed"):
        check_precision(precision)
    check_precision("bf16-mixed", FirstOrder(), "bf16-mixed")
    check_precision("32-true", SecondOrder())


def test_finite_differences_in_bfloat16_are_refused_with_the_remedy():
    with pytest.raises(UserError, match="finite_differences=false"):
        check_precision("bf16-mixed", SecondOrder(), "bf16-mixed")
    check_precision("bf16-mixed", SecondOrder(), "32-true")
    check_precision("bf16-mixed", SecondOrder(finite_differences=False), "bf16-mixed")


def test_half_precision_of_the_alphas_alone_and_unknown_ones_are_refused():
    with pytest.raises(UserError, match=r"is a part of trainer\.precision=bf16-mixed, and that is 32-true"):
        check_precision("32-true", FirstOrder(), "bf16-mixed")
    with pytest.raises(UserError, match="arch_precision=8: it must be 32-true or bf16-mixed"):
        check_precision("32-true", FirstOrder(), "8")


def test_precision_is_known_and_can_be_left():
    assert not half(CPU)
    with torch.autocast("cpu", torch.bfloat16):
        assert half(CPU)
        with full_precision(CPU):
            assert not half(CPU)


def test_the_cosine_is_of_all_tensors_together():
    ones, others = [torch.tensor([1.0, 0.0]), torch.tensor([2.0])], [torch.tensor([0.0, 3.0]), torch.tensor([4.0])]
    assert cosine(ones, others).item() == pytest.approx(8 / (5**0.5 * 5))
    assert cosine(ones, [torch.zeros(2), torch.zeros(1)]).item() == 0
