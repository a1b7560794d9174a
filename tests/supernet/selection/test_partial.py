import functools

import pytest
import torch
import torch.nn.functional as F

from search_spaces.architecture import DROPPED, Architecture
from search_spaces.operations import Form
from supernet.relaxations.dirichlet import Dirichlet
from supernet.relaxations.sigmoid import Sigmoid
from supernet.selection.partial import PartialSupernet
from supernet.selection.undecided import UNDECIDED, nothing_decided
from tests.search_spaces.plain import PlainNetwork
from tests.supernet.searches import SPACE, TWO_CELLS, module

PLAIN = functools.partial(torch.optim.SGD, lr=0.5)


def search(**arguments):
    """A search with alphas that are far from equal, in float64."""
    made = module(**arguments).double()
    with torch.no_grad():
        for parameter in made.alphas.tensors():
            parameter.copy_(torch.randn_like(parameter))
    return made


def pictures(count: int = 5):
    return torch.randn(count, 3, 8, 8, dtype=torch.float64)


@pytest.mark.parametrize("arguments", [
    {}, {"space": TWO_CELLS}, {"space": TWO_CELLS, "partial_channels": 2, "edge_normalization": True},
    {"relaxation": Dirichlet()}, {"relaxation": Sigmoid()},
])  # fmt: skip
@pytest.mark.parametrize("removed", [(3, 2), (1, 4), (4, None), (0, None)])
def test_taking_away_by_a_mask_equals_a_network_without_it(arguments, removed):
    made, (edge, operation) = search(**arguments), removed
    supernet, x = PartialSupernet(made), pictures()
    cell = next(iter(made.space.edges))
    allowed = {name: table.clone() for name, table in made.space.allowed.items()}
    allowed[cell][edge, slice(None) if operation is None else operation] = False
    parts = made.partial_channels
    network = made.space.build(allowed, searching=True, partial_channels=parts).double()
    network.inherit(made.network)
    mixture = made.alphas.mean()
    expected = network.train()(x, mixture.weights, mixture.edges)
    torch.testing.assert_close(supernet.logits(x, cell, edge, operation), expected, rtol=1e-9, atol=1e-11)
    assert (supernet.logits(x) - expected).abs().max() > 1e-6
    torch.testing.assert_close(supernet.logits(x), made.network.train()(x, mixture.weights, mixture.edges))


def test_taking_away_equals_a_zero_weight_in_the_plain_network():
    made = search()
    plain, x = PlainNetwork(made.network, SPACE, Form(affine=False)).train(), pictures()
    weights = made.mixture()
    weights["cell"][2, 3] = 0.0
    ours = PartialSupernet(made).logits(x, "cell", 2, 3)
    torch.testing.assert_close(ours, plain(x, weights), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("arguments", [{}, {"space": TWO_CELLS}, {"space": TWO_CELLS, "relaxation": Sigmoid()}])
def test_with_everything_decided_it_is_the_architecture_with_inherited_weights(arguments, generator):
    made = search(**arguments)
    architecture = made.space.sample(1, generator)[0]
    supernet, x = PartialSupernet(made), pictures()
    supernet.decide(architecture)
    torch.testing.assert_close(supernet.logits(x), made.discretized(architecture).double()(x))
    network = made.space.build(architecture.allowed(made.space.operations), searching=True)
    assert {name for name, _ in supernet.network.named_parameters()} == {name for name, _ in network.named_parameters()}


def test_decided_edges_carry_their_operation_alone_and_the_others_their_mixture():
    made = search(space=TWO_CELLS)
    supernet = PartialSupernet(made)
    partial = Architecture.of({"normal": [4, DROPPED] + [UNDECIDED] * 12, "reduce": [UNDECIDED] * 14})
    supernet.decide(partial)
    expected = made.mixture()
    expected["normal"][:2] = 0.0
    expected["normal"][0, 4] = 1.0
    x = pictures()
    torch.testing.assert_close(supernet.logits(x), made.network.train()(x, expected))


def test_a_step_of_tuning_is_plain_descent_at_a_share_of_the_searchs_rate():
    made = search(weight_optimizer=PLAIN, clip=0.0)
    supernet = PartialSupernet(made, lr_scale=0.1)
    batch = (pictures(), torch.tensor([0, 1, 2, 0, 1]))
    weights = {name: parameter.clone() for name, parameter in made.network.named_parameters()}
    loss = F.cross_entropy(made.network.train()(batch[0], made.mixture()), batch[1])
    grads = torch.autograd.grad(loss, list(made.network.parameters()))
    supernet.tune([batch])
    for (name, parameter), grad in zip(supernet.network.named_parameters(), grads, strict=True):
        torch.testing.assert_close(parameter, weights[name] - 0.05 * grad)


def test_the_gradient_is_clipped_as_in_the_search():
    made = search(weight_optimizer=PLAIN, clip=1e-3)
    supernet = PartialSupernet(made)
    supernet.tune([(pictures(), torch.tensor([0, 1, 2, 0, 1]))])
    pairs = zip(supernet.network.parameters(), made.network.parameters(), strict=True)
    squares = torch.stack([(new - old).detach().square().sum() for new, old in pairs])
    assert float(squares.sum().sqrt()) == pytest.approx(0.5e-3, rel=1e-3)


def test_the_search_itself_stays_as_it_is():
    made = search()
    before = {name: tensor.clone() for name, tensor in made.state_dict().items()}
    supernet = PartialSupernet(made)
    supernet.decide(nothing_decided(SPACE).replace("cell", 0, 3))
    supernet.tune([(pictures(), torch.tensor([0, 1, 2, 0, 1]))])
    assert all(torch.equal(before[name], tensor) for name, tensor in made.state_dict().items())


def test_the_optimizer_keeps_its_momentum_when_operations_leave():
    made = search()
    supernet = PartialSupernet(made)
    supernet.tune([(pictures(), torch.tensor([0, 1, 2, 0, 1]))])
    old = supernet.optimizer.state[supernet.network.stem[0].weight]["momentum_buffer"].clone()
    supernet.decide(nothing_decided(SPACE).replace("cell", 0, 3))
    assert torch.equal(supernet.optimizer.state[supernet.network.stem[0].weight]["momentum_buffer"], old)
    assert set(map(id, supernet.optimizer.param_groups[0]["params"])) == set(map(id, supernet.network.parameters()))


def test_accuracy_is_the_share_of_right_answers():
    supernet, x = PartialSupernet(search()), pictures(7)
    answers = supernet.logits(x, "cell", 2, 3).argmax(1)
    labels = answers.clone()
    labels[:3] = (labels[:3] + 1) % 3
    assert supernet.accuracy([(x, labels)], "cell", 2, 3) == pytest.approx(4 / 7)
    with pytest.raises(ValueError, match="no images"):
        supernet.accuracy([], "cell", 2, 3)
