import functools

import pytest
import pytorch_lightning as pl
import torch
import torch.nn.functional as F

from search_spaces.nasbench201 import NASBench201
from supernet.data.modules import SearchData
from supernet.data.synthetic import Synthetic
from supernet.errors import UserError
from supernet.formulations.base import Formulation
from supernet.formulations.first_order import FirstOrder
from supernet.formulations.mixed_level import MixedLevel
from supernet.formulations.single_level import SingleLevel
from supernet.modules.search import SearchModule, check_precision
from supernet.relaxations.dirichlet import Dirichlet
from supernet.relaxations.softmax import Softmax
from tests.search_spaces.plain import PlainNetwork

SGD = functools.partial(torch.optim.SGD, lr=0.05, momentum=0.9, weight_decay=3e-4)
ADAM = functools.partial(torch.optim.Adam, lr=0.01, betas=(0.5, 0.999), weight_decay=None)
COSINE = functools.partial(torch.optim.lr_scheduler.CosineAnnealingLR, T_max=2, eta_min=0.001)
SPACE = NASBench201(channels=4, cells_per_stage=1, in_channels=3, num_classes=3)


def module(relaxation=None, formulation=None, **arguments) -> SearchModule:
    options = {"weight_optimizer": SGD, "arch_optimizer": ADAM, "scheduler": COSINE} | arguments
    return SearchModule(SPACE, relaxation or Softmax(), formulation or FirstOrder(), **options)


def images(**arguments) -> Synthetic:
    return Synthetic(**({"num_classes": 3, "size": 8, "num_images": 48, "batch_size": 8} | arguments))


def fit(search: SearchModule, epochs: int = 1, **arguments) -> pl.Trainer:
    options = {"accelerator": "cpu", "logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = pl.Trainer(
        max_epochs=epochs, enable_model_summary=False, num_sanity_val_steps=0, use_distributed_sampler=False,
        **options, **arguments,
    )  # fmt: skip
    trainer.fit(search, SearchData(images()))
    return trainer


def steps(search: SearchModule, batches: list[dict]) -> None:
    """Training steps without a trainer."""
    optimizers = search.configure_optimizers()[0]
    search.optimizers = lambda: optimizers
    search.log = lambda *_, **__: None
    for index, batch in enumerate(batches):
        search.training_step(batch, index)


def random_batches(count: int, dtype=torch.float64) -> list[dict]:
    def draw():
        return torch.randn(6, 3, 8, 8, dtype=dtype), torch.randint(3, (6,))

    return [{"train": draw(), "valid": draw()} for _ in range(count)]


@pytest.mark.parametrize(
    "formulation", [FirstOrder(), SingleLevel(), MixedLevel(0.5, 2.0), MixedLevel(0.5, 2.0, False)]
)
def test_steps_equal_those_of_a_plain_loop_written_by_hand(formulation: Formulation):
    """Independent reference: a module per edge and operation, `backward`, plain optimizers, the papers' order."""
    search = module(formulation=formulation, clip=0.5).double()
    plain = PlainNetwork(search.network)
    alpha = search.alphas["cell"].detach().clone().requires_grad_()
    weights, arch = SGD(plain.parameters()), torch.optim.Adam([alpha], lr=0.01, betas=(0.5, 0.999), weight_decay=1e-3)
    batches = random_batches(3)

    def loss(batch):
        return F.cross_entropy(plain(batch[0], {"cell": alpha.softmax(1)}), batch[1])

    shares = {FirstOrder: (0, 1), SingleLevel: (1, 0), MixedLevel: (0.5, 2.0)}[type(formulation)]
    for batch in batches:
        for optimizer in (weights, arch):
            optimizer.zero_grad()
        (shares[0] * loss(batch["train"]) + shares[1] * loss(batch["valid"])).backward()
        if not formulation.simultaneous:
            arch.step()
        weights.zero_grad()
        kept = None if alpha.grad is None else alpha.grad.clone()
        loss(batch["train"]).backward()
        alpha.grad = kept
        torch.nn.utils.clip_grad_norm_(plain.parameters(), 0.5)
        weights.step()
        if formulation.simultaneous:
            arch.step()

    steps(search, batches)
    torch.testing.assert_close(search.alphas["cell"], alpha, rtol=1e-9, atol=1e-12)
    probe, mixture = torch.randn(4, 3, 8, 8, dtype=torch.float64), {"cell": alpha.detach().softmax(1)}
    ours, theirs = search.network.train()(probe, mixture), plain.train()(probe, mixture)
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-11)


def test_only_the_weights_move_in_the_warm_up():
    search = module(warmup_epochs=1)
    before = {name: parameter.clone() for name, parameter in search.named_parameters()}
    fit(search)
    assert torch.equal(search.alphas["cell"], before["alphas.cell"])
    assert not torch.equal(search.network.stem[0].weight, before["network.stem.0.weight"])
    fit(search, epochs=2)
    assert not torch.equal(search.alphas["cell"], before["alphas.cell"])


def test_the_weights_gradient_is_clipped_and_alphas_is_not():
    search = module(clip=1e-3)
    steps(search.double(), random_batches(1))
    norms = [
        torch.cat([p.grad.flatten() for p in part.parameters()]).norm() for part in (search.network, search.alphas)
    ]
    assert norms[0] == pytest.approx(1e-3, rel=1e-3)
    assert norms[1] > 2e-3


def test_all_passes_of_a_step_share_one_sample_and_steps_differ():
    drawn = []

    class Recorded(Dirichlet):
        def forward(self, alpha, allowed):
            drawn.append(super().forward(alpha, allowed))
            return drawn[-1]

    search = module(Recorded(), MixedLevel(), arch_optimizer=functools.partial(torch.optim.Adam, lr=0.0)).double()
    steps(search, random_batches(2))
    assert torch.equal(drawn[0], drawn[1])
    assert torch.equal(drawn[2], drawn[3])
    assert not torch.equal(drawn[0], drawn[2])


def test_the_start_is_a_function_of_the_seed():
    torch.manual_seed(1)
    one = module(seed=4).state_dict()
    torch.manual_seed(2)
    same, other = module(seed=4).state_dict(), module(seed=5).state_dict()
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["alphas.cell"], other["alphas.cell"])
    assert one["alphas.cell"].std() == pytest.approx(1e-3, rel=0.5)


@pytest.mark.parametrize(("asked", "relaxation", "got"), [
    (None, Softmax(), 1e-3), (None, Dirichlet(), 0.0), (0.5, Softmax(), 0.5), (0.5, Dirichlet(), 0.5),
])  # fmt: skip
def test_weight_decay_of_alpha_is_the_relaxations_own_unless_given(asked, relaxation, got):
    search = module(relaxation, arch_optimizer=functools.partial(torch.optim.Adam, lr=1.0, weight_decay=asked))
    assert search.configure_optimizers()[0][1].param_groups[0]["weight_decay"] == got


def test_the_anchor_pulls_alpha():
    """With an anchor so strong that it outweighs the loss, alpha moves towards zero."""
    search = module(Dirichlet("kl", anchor_scale=1e3), arch_optimizer=functools.partial(torch.optim.SGD, lr=1e-5))
    search.double()
    with torch.no_grad():
        search.alphas["cell"].fill_(1.0)
        search.alphas["cell"][:, 0] = 2.0
    steps(search, random_batches(1))
    assert (search.alphas["cell"] < torch.tensor([2.0, 1.0, 1.0, 1.0, 1.0])).all()


def test_validation_reports_the_mean_mixture_and_the_discretized_architecture():
    search = module(Dirichlet())
    trainer = fit(search)
    metrics, data = trainer.callback_metrics, images()
    search.eval()
    mixture, sub = search.mixture(), search.discretized()
    right = {"supernet": 0, "discretized": 0}
    with torch.no_grad():
        for x, y in data.batches("valid", shuffle=True):
            right["supernet"] += int((search.network(x, mixture).argmax(1) == y).sum())
            right["discretized"] += int((sub(x).argmax(1) == y).sum())
    for name, count in right.items():
        assert float(metrics[f"accuracy/{name}"]) == pytest.approx(count / len(data.labels("valid")))
    gap = metrics["accuracy/supernet"] - metrics["accuracy/discretized"]
    assert float(metrics["accuracy/discretization_gap"]) == pytest.approx(float(gap))


def test_the_learning_rate_is_stepped_once_an_epoch():
    search = module()
    trainer = fit(search, epochs=2)
    assert trainer.optimizers[0].param_groups[0]["lr"] == pytest.approx(0.001)


def test_the_x_axis_is_batches_and_not_optimizer_steps():
    trainer = fit(module(), epochs=2)
    assert trainer.fit_loop.epoch_loop._batches_that_stepped == 2 * 3
    assert trainer.global_step == 2 * 2 * 3


def test_bf16_mixed_trains_and_keeps_alphas_in_float32():
    search = module(Dirichlet(), MixedLevel())
    before = search.alphas["cell"].clone()
    fit(search, precision="bf16-mixed")
    assert search.alphas["cell"].dtype == torch.float32
    assert search.alphas["cell"].isfinite().all()
    assert not torch.equal(search.alphas["cell"], before)


@pytest.mark.parametrize("precision", ["16-mixed", "16-true", 16, "bf16-true"])
def test_sixteen_bits_without_loss_scaling_are_refused_with_the_remedy(precision):
    with pytest.raises(UserError, match="bf16-mixed"):
        check_precision(precision)
    check_precision("bf16-mixed")
    check_precision("32-true")
