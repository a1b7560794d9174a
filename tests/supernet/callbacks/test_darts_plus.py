import functools

import pytest
import torch

from search_spaces.nasbench1shot1 import NASBench1Shot1
from search_spaces.robust_darts import RobustDARTS
from supernet.callbacks.darts_plus import DartsPlus, ranked
from supernet.errors import UserError
from tests.supernet.searches import SPACE, TWO_CELLS, assert_resumes_exactly, fit, module

STILL = {"arch_optimizer": functools.partial(torch.optim.SGD, lr=0.0)}
SKIP = 1  # in NAS-Bench-201


class Scripted(DartsPlus):
    """Sets the alphas of NAS-Bench-201 after every epoch: so many skips, then 3x3 convolutions."""

    def __init__(self, skips, **arguments):
        super().__init__(**arguments)
        self.skips = skips

    def result(self, trainer, module):
        with torch.no_grad():
            alpha = module.alphas["cell"].zero_()
            alpha[:, 3] = 1
            alpha[: self.skips[trainer.current_epoch], SKIP] = 2
        return super().result(trainer, module)


def test_the_search_ends_when_the_cell_has_two_skips_with_what_it_has_then():
    search = module(**STILL)
    trainer = fit(search, epochs=5, callbacks=[Scripted([0, 1, 3, 0, 0])])
    assert trainer.current_epoch == 3
    assert search.found["cell"].count(SKIP) == 3
    assert float(trainer.callback_metrics["genotype/skips"]) == 3


def test_only_the_first_cell_type_counts():
    search = module(space=TWO_CELLS, **STILL)
    skip = TWO_CELLS.operations["reduce"].index("skip_connect")
    with torch.no_grad():
        search.alphas["normal"][:, skip] = -5
        search.alphas["reduce"][:, skip] = 5
    trainer = fit(search, epochs=2, callbacks=[DartsPlus(max_skips=1)])
    assert search.genotype()["reduce"].count(skip) == 8
    assert trainer.current_epoch == 2
    assert search.found is None


def test_the_ranking_is_that_of_the_learnable_operations_on_every_edge():
    search = module()
    with torch.no_grad():
        search.alphas["cell"].copy_(torch.tensor([[9.0, 8.0, 1.0, 2.0, 7.0]] * 5 + [[0.0, 8.0, 2.0, 1.0, 7.0]]))
    assert ranked(search) == {"cell": [[3, 2]] * 5 + [[2, 3]]}


def test_a_ranking_that_stands_still_long_enough_ends_the_search():
    search = module(**STILL)
    trainer = fit(search, epochs=9, callbacks=[DartsPlus(max_skips=None, stable_epochs=3)])
    assert trainer.current_epoch == 4  # the first epoch has nothing to be compared with
    assert search.found == search.genotype()


def test_a_change_in_the_ranking_starts_the_count_again():
    class Swapped(DartsPlus):
        def result(self, trainer, module):
            if trainer.current_epoch == 2:
                with torch.no_grad():
                    module.alphas["cell"][4, 2:4] = module.alphas["cell"][4, 2:4].flip(0).clone()
            return super().result(trainer, module)

    assert fit(module(**STILL), epochs=9, callbacks=[Swapped(None, 3)]).current_epoch == 6


@pytest.mark.parametrize(
    "make", [lambda: Scripted([0, 1, 2, 0, 0]), lambda: DartsPlus(max_skips=None, stable_epochs=2)]
)
def test_an_end_survives_a_resume(make, tmp_path):
    search = assert_resumes_exactly(lambda: module(**STILL), lambda: [make()], tmp_path, epochs=5)
    assert search.found is not None
    assert len(list(tmp_path.iterdir())) == 3


def test_a_criterion_that_a_space_has_nothing_for_is_refused():
    with pytest.raises(UserError, match="max_skips=null"):
        fit(module(space=NASBench1Shot1(1, channels=4, layers=3, num_classes=3)), callbacks=[DartsPlus()])
    few = RobustDARTS("s2", channels=4, layers=3, num_classes=3)
    with pytest.raises(UserError, match="stable_epochs=null"):
        fit(module(space=few), callbacks=[DartsPlus(stable_epochs=3)])


@pytest.mark.parametrize(("arguments", "message"), [
    ({"max_skips": None}, "both null"), ({"max_skips": 0}, "max_skips"), ({"stable_epochs": 0}, "stable_epochs"),
])  # fmt: skip
def test_arguments_that_make_no_sense_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        DartsPlus(**arguments)


def test_a_search_without_two_skips_runs_to_its_end():
    search = module(**STILL)
    assert fit(search, epochs=2, callbacks=[Scripted([1, 1])]).current_epoch == 2
    assert search.found is None
    assert SPACE.is_valid(search.genotype())
