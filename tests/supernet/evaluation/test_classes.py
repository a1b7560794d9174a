import pytest

from search_spaces.nasbench201 import NASBench201
from supernet.benchmarks.nasbench201 import NASBench201Table
from supernet.evaluation.classes import class_means, first_of_each

SPACE, TABLE = NASBench201(), NASBench201Table()
# A skip of the input and nothing else, said in three ways: what leaves node 1 is zero.
SKIPS = [
    SPACE.parse(f"|none~0|+|none~0|{one}~1|+|skip_connect~0|{other}~1|none~2|")
    for one, other in (("none", "none"), ("avg_pool_3x3", "none"), ("none", "nor_conv_3x3"))
]


def test_architectures_of_a_class_have_its_mean():
    everything = list(SPACE.enumerate())
    known = {one: TABLE.query(one, "cifar10-valid", 12) for one in everything}
    found = class_means(SPACE, [everything[0], *SKIPS], known)
    members = [one for one in everything if SPACE.published_class(one) == SPACE.published_class(SKIPS[0])]
    assert set(SKIPS) < set(members)
    mean = sum(TABLE.query(one, "cifar10-valid", 12).accuracy for one in members) / len(members)
    assert [record.accuracy for record in found[1:]] == [pytest.approx(mean)] * 3
    assert found[0].accuracy != found[1].accuracy
    assert (found[0].dataset, found[0].epochs) == ("cifar10-valid", 12)


def test_the_first_of_a_class_passes_again_and_the_others_do_not():
    accept = first_of_each(SPACE)
    assert [accept(one) for one in (*SKIPS, SKIPS[0])] == [True, False, False, True]
