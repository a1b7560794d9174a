import pytest
import torch

from search_spaces.wiring import Wiring, runs

EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
NAMES = ("none", "a", "b")


def wiring(allowed=None, **options):
    return Wiring(EDGES, NAMES, torch.ones(6, 3, dtype=torch.bool) if allowed is None else allowed, **options)


def test_stretches_of_flags_are_slices():
    assert runs([]) == []
    assert runs([False, True, True, False, True]) == [slice(1, 3), slice(4, 5)]


def test_edges_of_one_source_and_operation_are_a_group_and_none_is_not_computed():
    groups = wiring().groups
    assert [group.key for group in groups] == ["0_a", "0_b", "1_a", "1_b", "2_a", "2_b"]
    assert groups[0].edges == (0, 1, 3)
    assert groups[0].destinations == (1, 2, 3)
    assert groups[3].edges == (2, 4)


def test_weights_are_split_by_group_and_factors_multiply_whole_edges():
    weights, factors = torch.arange(18.0).reshape(6, 3), torch.arange(6.0)
    split = wiring().split(weights)
    assert [part.tolist() for part in split.operations[:3]] == [[1, 4, 10], [2, 5, 11], [7, 13]]
    assert split.bypass is None
    split = wiring().split(weights, factors)
    assert split.operations[0].tolist() == [0 * 1, 1 * 4, 3 * 10]
    assert [part.tolist() for part in split.bypass] == [[0, 1, 3], [2, 4], [5]]


def test_edges_without_an_operation_are_left_out():
    allowed = torch.ones(6, 3, dtype=torch.bool)
    allowed[1] = False
    allowed[3, 1:] = False  # only `none`: nothing is computed, but channels may pass by
    split = wiring(allowed).split(torch.ones(6, 3), torch.arange(6.0))
    assert split.operations[0].tolist() == [0]
    assert split.bypass[0].tolist() == [0, 3]


def test_only_says_which_copies_run():
    rows = wiring().split(torch.ones(6, 3), only=[1, 2, 0, 1, -1, 1]).rows
    assert rows == ((slice(0, 1), slice(2, 3)), (slice(1, 2),), (), (), (slice(0, 1),), ())


@pytest.mark.parametrize("shared", [False, True])
def test_pieces_are_the_stretches_that_run_and_one_piece_where_copies_share_what_they_compute(shared):
    built = wiring()
    weights = torch.arange(18.0).reshape(6, 3)
    mixture = built.split(weights, only=[1, 2, 0, 1, -1, 1])
    pieces = [(w.tolist(), rows, ends) for w, rows, ends in mixture.pieces(0, built.groups[0], shared, 2)]
    if shared:
        assert pieces == [([1, 10], slice(0, 2), (1, 3))]
    else:
        assert pieces == [([1], slice(0, 1), (1,)), ([10], slice(2, 3), (3,))]
    assert built.split(weights).pieces(0, built.groups[0], shared, 2)[0][1:] == (None, (1, 2, 3))


def test_weights_are_repeated_for_the_channels_that_are_asked_for_but_not_where_copies_share_what_they_compute():
    built = wiring()
    mixture = built.split(torch.arange(18.0).reshape(6, 3), channels=[2])
    assert mixture.pieces(0, built.groups[0], False, 2)[0][0].tolist() == [[1, 1], [4, 4], [10, 10]]
    assert mixture.pieces(0, built.groups[0], True, 2)[0][0].tolist() == [1, 4, 10]
    assert mixture.pieces(0, built.groups[0], False, 3)[0][0].tolist() == [1, 4, 10]


def test_maps_are_smaller_by_the_strides_on_their_way():
    assert wiring(strides={0: 2}).scales == [1, 2, 2, 2]
    chain = Wiring([(0, 1), (1, 2), (2, 3)], NAMES, torch.ones(3, 3, dtype=torch.bool), strides={0: 2, 2: 2})
    assert chain.scales == [1, 2, 2, 4]
