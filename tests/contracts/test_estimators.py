"""What holds for every estimator under ``conf/estimator``."""

from __future__ import annotations

import functools
import math
import tempfile
from pathlib import Path

import pytest
import torch
from hydra.utils import instantiate

from search_spaces.darts import DARTS
from search_spaces.nasbench1shot1 import NASBench1Shot1
from search_spaces.nasbench_macro import NASBenchMacro
from search_spaces.robust_darts import RobustDARTS
from supernet import seeds
from supernet.estimators.aggregate import RankAggregate
from supernet.estimators.base import Measured
from supernet.estimators.predictors.fitted import Fitted
from supernet.estimators.predictors.trained import write_trained
from supernet.estimators.proxies.base import Proxy
from supernet.estimators.proxies.initialisation import initialise
from supernet.estimators.proxies.normalisation import normalised
from supernet.estimators.supernets import Mixed, uniform
from tests.contracts.configurations import build, composed, names
from tests.supernet.estimators.tasks import SMALL, Published, task

ESTIMATORS = [name for name in names("estimator") if name not in ("table", "latency", "one_shot")]
DISCONNECTED = "|nor_conv_3x3~0|+|none~0|none~1|+|none~0|none~1|nor_conv_3x3~2|"
SPACES = [
    DARTS(channels=4, layers=3), RobustDARTS("s4", channels=4, layers=3), NASBenchMacro(channels=4),
    NASBench1Shot1(1, channels=4, layers=3),
]  # fmt: skip


def factory_of(name):
    """What a file gives, with what it takes from other groups."""
    if name == "predictor":
        return instantiate(composed("evaluate", f"estimator={name}", "estimator.trained=given").estimator)
    return build("estimator", name)


def estimator(name, some=None, **arguments):
    """The estimator of a file for a task, with one small batch."""
    factory, some = factory_of(name), some or task()
    if factory.func is Fitted:
        arguments["trained"] = trained(some.space)
    return small(factory)(some, **arguments)


@functools.cache
def trained(space) -> str:
    """A file of architectures with made-up accuracies."""
    some = valid(space, 20)
    path = Path(FOLDER.name) / f"{id(space)}.csv"
    write_trained(path, some, [float(sum(row)) for ((_, row), *_) in (one.choices for one in some)], space)
    return str(path)


FOLDER = tempfile.TemporaryDirectory()


def small(factory):
    """The factory of an estimator that looks at one small batch, or of an aggregate of such."""
    if issubclass(factory.func, RankAggregate):
        parts = {name: small(part) for name, part in factory.keywords["estimators"].items()}
        return functools.partial(factory, estimators=parts)
    if issubclass(factory.func, Proxy):
        return functools.partial(factory, batch_size=min(factory.keywords["batch_size"], 20), inits=1, batches=1)
    return factory


def proxies(made) -> list[Proxy]:
    """The training-free scores that an estimator consists of."""
    if isinstance(made, RankAggregate):
        return [proxy for part in made.several.parts.values() for proxy in proxies(part)]
    return [made] if isinstance(made, Proxy) else []


PROXIES = [name for name in ESTIMATORS if isinstance(factory_of(name).func, type)
           and issubclass(factory_of(name).func, Proxy)]  # fmt: skip


def valid(space, count=3, seed=0):
    drawn = space.sample(60, torch.Generator().manual_seed(seed))
    return [architecture for architecture in dict.fromkeys(drawn) if space.is_valid(architecture)][:count]


@pytest.mark.parametrize("name", ESTIMATORS)
def test_scores_are_finite_and_do_not_depend_on_the_company(name):
    made, architectures = estimator(name), valid(SMALL)
    assert isinstance(made, Measured)
    together = [made.measurements(architecture) for architecture in architectures]
    alone = [estimator(name).measurements(architecture) for architecture in reversed(architectures)][::-1]
    assert together == alone
    assert all(len(row) == len(made.names) and all(map(math.isfinite, row)) for row in together)
    scores = made.combine(torch.tensor(together, dtype=torch.float64))
    assert scores.dtype == torch.float64
    assert scores.shape == (len(architectures),)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_the_global_generator_is_left_alone(name):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    estimator(name).measurements(valid(SMALL, 1)[0])
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", PROXIES)
def test_another_seed_may_give_another_score_and_several_are_averaged(name):
    (architecture,) = valid(SMALL, 1)
    single = estimator(name).measurements(architecture)
    more = estimator(name, inits=2, batches=2).measurements(architecture)
    parts, made = [], estimator(name)
    for init in range(2):
        for number in range(2):
            parts.append(one(made, lambda: made.task.space.network(architecture), init, number))
    assert more == pytest.approx(tuple(sum(column) / 4 for column in zip(*parts, strict=True)))
    assert parts[0] == single


def one(made, build, init, number):
    """What `Proxy.average` should give for one initialisation and one batch, written out."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeds.derive(made.task.seed, seeds.SCORE, init))
        network = build()
        initialise(network, made.initialisation)
        network = made.part(network).to(made.dtype).train()
        torch.manual_seed(seeds.derive(made.task.seed, seeds.SCORE, init, number))
        images, labels = made.batch(number)
        with normalised(made.normalisation):
            found = made.measure(network, images, labels)
    return found if isinstance(found, tuple) else (found,)


@pytest.mark.parametrize("name", PROXIES)
def test_a_disconnected_architecture_scores_minus_infinity(name):
    made = estimator(name)
    assert made.measurements(SMALL.parse(DISCONNECTED)) == (-math.inf,) * len(made.names)


@pytest.mark.parametrize("name", PROXIES)
def test_an_auxiliary_head_is_no_part_of_a_network(name):
    space = DARTS(channels=4, layers=3, auxiliary=True)
    (architecture,) = valid(space, 1)
    assert space.network(architecture).auxiliary is not None
    made = estimator(name, task(space, size=32))

    def without():
        network = made.task.space.network(architecture)
        network.auxiliary = None
        return network

    assert made.measurements(architecture) == made.average(without)


@pytest.mark.parametrize("name", [name for name in PROXIES if estimator(name).uses_labels])
def test_images_that_are_not_finite_give_no_score(name):
    made, (architecture,) = estimator(name), valid(SMALL, 1)
    batch = made.batch

    def broken(number):
        images, labels = batch(number)
        return images.fill_(math.nan), labels

    made.batch = broken
    assert made.measurements(architecture) == (-math.inf,) * len(made.names)


@pytest.mark.parametrize("name", PROXIES)
def test_whether_the_caller_takes_gradients_does_not_matter(name):
    made, (architecture,) = estimator(name), valid(SMALL, 1)
    with torch.no_grad():
        found = made.measurements(architecture)
    assert found == made.measurements(architecture)


@pytest.mark.parametrize("name", PROXIES)
def test_labels_matter_exactly_where_the_proxy_says_so(name):
    (architecture,) = valid(SMALL, 1)
    other = task()
    generator = torch.Generator().manual_seed(3)
    made, changed = estimator(name), estimator(name, other)
    batch = changed.batch

    def mixed(number):
        images, labels = batch(number)
        return images, labels[torch.randperm(len(labels), generator=generator)]

    changed.batch = mixed
    same = made.measurements(architecture) == changed.measurements(architecture)
    assert same != made.uses_labels


@pytest.mark.parametrize("name", PROXIES)
@pytest.mark.parametrize("space", [SMALL, DARTS(channels=4, layers=3)], ids=["nasbench201", "darts"])
def test_batched_edges_score_as_modules_of_their_own(name, space):
    """The network of this project and that of published code, with the same weights, have the same score."""
    (architecture,) = valid(space, 1, seed=2)
    made = estimator(name, task(space))
    torch.manual_seed(0)
    network = space.network(architecture)
    initialise(network, made.initialisation)
    network = made.part(network).double().train()
    reference = Published(network, space, architecture).double().train()
    images, labels = made.batch(0)
    results = []
    for candidate in (network, reference):
        torch.manual_seed(1)
        with normalised(made.normalisation):
            found = made.measure(candidate, images.double(), labels)
        results.append(found if isinstance(found, tuple) else (found,))
    assert results[0] == pytest.approx(results[1], rel=1e-6)


# An aggregate measures what its parts measure, each of which is here too.
EVERYWHERE = [
    pytest.param(name, marks=pytest.mark.slow) if issubclass(factory_of(name).func, RankAggregate) else name
    for name in ESTIMATORS
]


@pytest.mark.parametrize("name", EVERYWHERE)
@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.name)
def test_every_space_can_be_scored(name, space):
    made = estimator(name, task(space, size=16))
    assert all(map(math.isfinite, made.measurements(valid(space, 1)[0])))


@pytest.mark.parametrize("name", PROXIES)
def test_a_supernet_with_its_mixing_weights_can_be_scored(name):
    made = estimator(name)
    found = made.average(lambda: Mixed(SMALL.supernet(), uniform(SMALL.allowed)))
    assert all(map(math.isfinite, found))
