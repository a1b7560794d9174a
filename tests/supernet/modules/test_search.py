import functools

import pytest
import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from torch import nn

from search_spaces.operations import Form
from supernet.data.modules import SearchData
from supernet.errors import UserError
from supernet.formulations.base import Formulation
from supernet.formulations.first_order import FirstOrder
from supernet.formulations.mixed_level import MixedLevel
from supernet.formulations.second_order import SecondOrder
from supernet.formulations.single_level import SingleLevel
from supernet.perturbations.adversarial import AdversarialPerturbation
from supernet.perturbations.random import RandomPerturbation
from supernet.relaxations.dirichlet import Dirichlet
from supernet.relaxations.gumbel import Gumbel
from supernet.relaxations.sigmoid import Sigmoid
from supernet.relaxations.softmax import Softmax
from supernet.relaxations.uniform import Uniform
from tests.search_spaces.plain import PlainNetwork
from tests.supernet.searches import SGD, SPACE, TWO_CELLS, fit, images, module, random_batches, steps


@pytest.mark.parametrize(
    "formulation", [FirstOrder(), SingleLevel(), MixedLevel(0.5, 2.0), MixedLevel(0.5, 2.0, False)]
)
def test_steps_equal_those_of_a_plain_loop_written_by_hand(formulation: Formulation):
    """Independent reference: a module per edge and operation, `backward`, plain optimizers, the papers' order."""
    search = module(formulation=formulation, clip=0.5).double()
    plain = PlainNetwork(search.network, SPACE, Form(affine=False))
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
    assert torch.equal(search.alphas["cell"], before["alphas.alpha.cell"])
    assert not torch.equal(search.network.stem[0].weight, before["network.stem.0.weight"])
    fit(search, epochs=2)
    assert not torch.equal(search.alphas["cell"], before["alphas.alpha.cell"])


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
    assert not torch.equal(one["alphas.alpha.cell"], other["alphas.alpha.cell"])
    assert one["alphas.alpha.cell"].std() == pytest.approx(1e-3, rel=0.5)


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


def first_alpha_gradient(formulation, **options):
    """Of the first step of a search, and what was logged."""
    search = module(Softmax(), formulation, arch_optimizer=functools.partial(torch.optim.SGD, lr=1.0), **options)
    found = []
    search._step_alphas = lambda optimizer, grads: not found.append(grads)
    trainer = fit(search, precision="bf16-mixed" if options.get("arch_precision") else "32-true", limit_train_batches=1)
    return found[0], trainer.callback_metrics


@pytest.mark.parametrize("formulation", [FirstOrder(), MixedLevel(), SecondOrder()])
def test_alphas_have_exact_gradients_beside_weights_in_half_precision(formulation):
    exact, _ = first_alpha_gradient(formulation)
    found, logged = first_alpha_gradient(formulation, arch_precision="32-true")
    torch.testing.assert_close(found, exact, rtol=0, atol=0)
    assert "alpha/gradient_cosine" not in logged


@pytest.mark.parametrize("formulation", [FirstOrder(), MixedLevel()])
def test_alphas_with_gradients_in_half_precision_are_told_how_far_these_are_off(formulation):
    exact, _ = first_alpha_gradient(formulation)
    found, logged = first_alpha_gradient(formulation, arch_precision="bf16-mixed")
    assert not torch.equal(found[0], exact[0])
    expected = torch.nn.functional.cosine_similarity(found[0].flatten(), exact[0].flatten(), dim=0)
    torch.testing.assert_close(logged["alpha/gradient_cosine"], expected)


def test_recomputation_takes_the_same_steps():
    (batch,) = random_batches(1)
    states = []
    for what in (None, "cell", "operation"):
        search = module(Softmax(), MixedLevel(), recompute=what).double()
        steps(search, [batch])
        states.append(search.state_dict())
    for other in states[1:]:
        torch.testing.assert_close(other, states[0], rtol=1e-12, atol=1e-12)


# ------------------------------------------------------------------------------------------ passes, statistics, noise


def statistics(search) -> list[torch.Tensor]:
    return [layer.running_mean.clone() for layer in search.network.modules() if isinstance(layer, nn.BatchNorm2d)]


@pytest.mark.parametrize("formulation", [FirstOrder(), MixedLevel(), SecondOrder(), SecondOrder(False)])
@pytest.mark.parametrize("relaxation", [Softmax(), Gumbel(hard=True)])
def test_statistics_see_the_training_batch_once_whatever_else_a_formulation_passes(formulation, relaxation):
    """They are those of the weights' own step alone, at the alphas of that step."""
    frozen = {"arch_optimizer": functools.partial(torch.optim.SGD, lr=0.0)}
    search, alone = (module(relaxation, f, **frozen).double() for f in (formulation, FirstOrder()))
    (batch,) = random_batches(1)
    steps(search, [batch])
    steps(module(relaxation, FirstOrder(), warmup_epochs=1, **frozen).double(), [batch])
    alone.warmup_epochs = 1
    steps(alone, [batch])
    for mine, expected in zip(statistics(search), statistics(alone), strict=True):
        torch.testing.assert_close(mine, expected, rtol=1e-12, atol=1e-12)


def test_a_sampled_step_equals_the_plain_network_with_only_the_sampled_operations():
    relaxation = Gumbel(hard=True, tau_start=1.0, tau_end=1.0)
    search = module(relaxation, clip=0.0).double()
    plain = PlainNetwork(search.network, SPACE, Form(affine=False))
    drawn: list[torch.Tensor] = []
    sample = search.alphas.sample

    def recorded(tensors):
        mixture = sample(tensors)
        drawn.append(mixture.weights["cell"])
        return mixture

    search.alphas.sample = recorded
    (batch,) = random_batches(1)
    steps(search, [batch])
    assert len(drawn) == 2
    chosen = drawn[1].detach()
    assert set(chosen.unique().tolist()) == {0.0, 1.0}
    loss = F.cross_entropy(plain(batch["train"][0], {"cell": chosen}), batch["train"][1])
    optimizer = SGD(plain.parameters())
    loss.backward()
    optimizer.step()
    probe, mixture = torch.randn(4, 3, 8, 8, dtype=torch.float64), {"cell": chosen}
    # operations that were not drawn have seen nothing, so only what was drawn may be compared
    torch.testing.assert_close(search.network.train()(probe, mixture), plain.train()(probe, mixture))


def test_a_sample_whose_input_does_not_reach_the_output_gives_zeros_and_no_error():
    search = module(Gumbel(hard=True)).double()
    with torch.no_grad():
        search.alphas["cell"][:, 0] = 1e3  # `none` everywhere
    steps(search, random_batches(1))
    assert all(p.isfinite().all() for p in search.parameters())


def test_alphas_move_every_so_many_steps_of_the_weights():
    search = module(weight_steps=3)
    moved = []
    step = search._step_alphas
    search._step_alphas = lambda *arguments: (moved.append(len(counted)), step(*arguments))
    counted: list[int] = []
    weights = search._step_weights
    search._step_weights = lambda *arguments: (counted.append(1), weights(*arguments))
    steps(search.double(), random_batches(7))
    assert moved == [0, 3, 6]
    assert len(counted) == 7


@pytest.mark.parametrize("perturbation", [RandomPerturbation(0.2, 0.2), AdversarialPerturbation(2, 0.2, 0.2)])
@pytest.mark.parametrize("formulation", [FirstOrder(), MixedLevel()])
def test_a_perturbation_moves_what_the_weights_see_and_not_what_the_alphas_see(perturbation, formulation):
    (batch,) = random_batches(1)
    plain, perturbed = (
        module(formulation=formulation, clip=0.0, perturbation=p).double() for p in (None, perturbation)
    )
    formulation.simultaneous = False
    for search in (plain, perturbed):
        steps(search, [batch])
    assert torch.equal(plain.alphas["cell"], perturbed.alphas["cell"])
    assert not torch.equal(plain.network.stem[0].weight, perturbed.network.stem[0].weight)
    assert perturbed.network.training


def test_fair_sampling_updates_every_operation_in_one_step():
    search = module(Uniform(strict=True), clip=0.0).double()
    before = {name: p.clone() for name, p in search.network.named_parameters()}
    steps(search, random_batches(1))
    assert all(not torch.equal(before[name], p) for name, p in search.network.named_parameters())


# --------------------------------------------------------------------------------------------------------- rebuilding


def narrowed(space, keep=2):
    return {cell: t & (torch.arange(t.shape[1]) >= t.shape[1] - keep) for cell, t in space.allowed.items()}


@pytest.mark.parametrize("space", [SPACE, TWO_CELLS])
def test_a_pruned_supernet_computes_what_the_masked_one_computed(space):
    search = module(space=space).double()
    steps(search, random_batches(2))
    mask = narrowed(space)
    images = torch.randn(4, 3, 8, 8, dtype=torch.float64)
    mixture = {cell: torch.rand(t.shape, dtype=torch.float64) * mask[cell] for cell, t in mask.items()}
    expected = search.network.eval()(images, mixture)
    search.eval().rebuild(space.restrict(mask))
    torch.testing.assert_close(search.double().network(images, mixture), expected, rtol=1e-12, atol=1e-12)
    assert search.space.size() < space.size()
    assert all((search.mixture()[cell] > 0).equal(mask[cell]) for cell in mask)


def test_the_optimizer_goes_on_with_the_momentum_of_what_stayed():
    """A search that was pruned half way equals one that had only these operations' weights and momentum."""
    search = module(clip=0.0, arch_optimizer=functools.partial(torch.optim.SGD, lr=0.0)).double()
    trainer = type("Trainer", (), {})()
    trainer.optimizers = steps(search, random_batches(1))
    names = {p: name for name, p in search.network.named_parameters()}
    momentum = {names[p]: state["momentum_buffer"] for p, state in trainer.optimizers[0].state.items()}
    search._trainer = trainer
    parent = search.network
    search.rebuild(SPACE.restrict(narrowed(SPACE)))
    carried = search.network.adopt(parent, momentum)
    weights = trainer.optimizers[0]
    assert [id(p) for p in weights.param_groups[0]["params"]] == [id(p) for p in search.network.parameters()]
    for name, parameter in search.network.named_parameters():
        assert torch.equal(weights.state[parameter]["momentum_buffer"], carried[name])


def test_a_widened_supernet_has_more_channels_and_keeps_the_old_ones():
    search = module(space=TWO_CELLS, partial_channels=4)
    before = search.network.state_dict()
    name = "trunk.0.operations.0_dil_conv_3x3.pointwise.weight"
    search.rebuild(TWO_CELLS, 2)
    after = search.network.state_dict()[name]
    old = before[name].unflatten(0, (4, -1))
    assert search.partial_channels == 2
    assert torch.equal(after.unflatten(0, (4, -1))[:, : old.shape[1], : old.shape[2]], old)


def test_the_form_of_the_supernet_is_part_of_a_checkpoint():
    search = module(space=TWO_CELLS, partial_channels=2)
    search.rebuild(TWO_CELLS.restrict(narrowed(TWO_CELLS, keep=4)), 1, stage=3)
    search.found = search.genotype()
    checkpoint: dict = {"state_dict": search.state_dict()}
    search.on_save_checkpoint(checkpoint)
    other = module(space=TWO_CELLS, partial_channels=2)
    other.on_load_checkpoint(checkpoint)
    other.load_state_dict(checkpoint["state_dict"])
    assert other.found == search.found
    assert other.stage_start == 3
    x, weights = torch.randn(2, 3, 8, 8), search.mixture()
    assert torch.equal(search.eval().network(x, weights), other.eval().network(x, weights))
    assert torch.equal(other.alphas.allowed("normal"), search.alphas.allowed("normal"))


@pytest.mark.parametrize("relaxation", [Gumbel(), Uniform(), Sigmoid()], ids=["gumbel", "uniform", "sigmoid"])
def test_a_perturbation_is_refused_where_there_is_no_mixture_that_sums_to_one(relaxation):
    with pytest.raises(UserError, match="use perturbation=none"):
        module(relaxation, perturbation=RandomPerturbation())


def test_validation_of_hard_samples_judges_the_most_probable_one_by_the_statistics_of_the_batch():
    search = module(Gumbel())
    fit(search, epochs=2)
    judged = search.alphas.judged().weights["cell"]
    assert torch.equal(judged.argmax(dim=1), search.alphas["cell"].argmax(dim=1))
    assert torch.equal(judged.sum(dim=1), torch.ones(6))
    assert set(judged.unique().tolist()) == {0.0, 1.0}
    # On NAS-Bench-201 that is the discretized architecture, so that both have the same accuracy.
    assert search.trainer.callback_metrics["accuracy/discretization_gap"] == 0
    before = {name: value.clone() for name, value in search.network.state_dict().items() if "running" in name}
    search.trainer.validate(search, SearchData(images()), verbose=False)
    assert all(
        torch.equal(value, before[name]) for name, value in search.network.state_dict().items() if name in before
    )
    assert all(layer.track_running_stats for layer in search.network.modules() if hasattr(layer, "track_running_stats"))


def test_validation_of_mixtures_uses_the_running_statistics():
    search = module(Softmax())
    assert torch.equal(search.alphas.judged().weights["cell"], search.alphas.mean().weights["cell"])
    assert not search.relaxation.batch_statistics


# ------------------------------------------------------------------------------------------------------------ logging


class Recorder(pl.loggers.CSVLogger):
    """Keeps what it is given."""

    def __init__(self) -> None:
        super().__init__("unused")
        self.points: list[tuple[int, dict[str, float]]] = []

    def log_metrics(self, metrics, step=None) -> None:
        self.points.append((step, dict(metrics)))

    def save(self) -> None: ...


def test_values_of_a_step_are_logged_every_so_many_steps_and_means_once_an_epoch():
    search, recorder, calls = module(), Recorder(), []
    log = search.log
    search.log = lambda name, *arguments, **options: (calls.append(name), log(name, *arguments, **options))
    fit(search, epochs=2, logger=recorder, log_every_n_steps=2)  # of three batches an epoch
    steps = {step: values for step, values in recorder.points if "step/loss_weights" in values}
    assert list(steps) == [1, 3, 5]
    names = {"step/loss_weights", "step/loss_alphas", "step/gradient_norm_weights", "step/gradient_norm_alphas"}
    assert all(set(values) == names | {"epoch"} for values in steps.values())
    assert [step for step, values in recorder.points if "loss/weights" in values] == [2, 5]
    assert calls.count("loss/alphas") == calls.count("accuracy/weights") == 2
    assert calls.count("step/loss_weights") == 3


def test_the_logged_means_are_those_of_all_steps_of_the_epoch():
    search, seen = module(), []
    measure = search.measures.step
    search.measures.step = lambda found, labels: (seen.append(found), measure(found, labels))
    trainer = fit(search, epochs=2)
    for level in ("weights", "alphas"):
        expected = torch.stack([found[level][0] for found in seen[-3:]]).mean()
        assert float(trainer.callback_metrics[f"loss/{level}"]) == pytest.approx(float(expected), rel=1e-6)


def test_the_loss_of_the_validation_is_the_mean_over_images_though_the_last_batch_is_smaller():
    search = module()
    trainer = fit(search, data={"batch_size": 7})
    with torch.no_grad():
        logits, labels = zip(
            *((search.eval().network(x, search.mixture()), y) for x, y in images(batch_size=7).batches("valid")),
            strict=True,
        )
    expected = F.cross_entropy(torch.cat(logits), torch.cat(labels))
    assert float(trainer.callback_metrics["loss/supernet"]) == pytest.approx(float(expected), rel=1e-5)
