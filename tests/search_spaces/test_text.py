import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_spaces.architecture import DROPPED
from search_spaces.errors import ArchitectureError
from search_spaces.text import format_cell, parse_cell

EDGES = ((0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
NAMES = ("skip", "conv_3x3")
KEEP = {3: 2}
EXAMPLE = "|skip~0|conv_3x3~1|+|skip~0|skip~2|"


def parse(text, inputs=KEEP):
    return parse_cell(text, EDGES, NAMES, inputs, EXAMPLE)


def test_dropped_edges_are_left_out():
    assert format_cell(EDGES, NAMES, [0, 1, 0, DROPPED, 0]) == EXAMPLE
    assert parse(EXAMPLE) == [0, 1, 0, DROPPED, 0]


@given(st.tuples(*[st.integers(0, 1)] * 5), st.integers(2, 4))
def test_parse_after_format_is_the_identity(row, dropped):
    row = [DROPPED if edge == dropped else choice for edge, choice in enumerate(row)]
    assert parse(format_cell(EDGES, NAMES, row)) == row


def test_the_inputs_of_a_node_may_come_in_any_order():
    assert parse("|conv_3x3~1|skip~0|+|skip~2|skip~0|") == parse(EXAMPLE)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("|skip~0|skip~1|", "1 nodes joined by '[+]', not 2"),
        ("|skip~0|skip~1|+skip~0|skip~2|", "node 3, 'skip~0.*begins and ends with"),
        ("|skip~0|+|skip~0|skip~2|", "node 2, '[|]skip~0[|]': 1 inputs, not 2"),
        ("|skip~0|skip~1|+|skip~0|skip~1|skip~2|", "node 3, .*3 inputs, not 2"),
        ("|skip~0|conv_3x4~1|+|skip~0|skip~2|", "node 2, token 'conv_3x4~1': unknown .*did you mean 'conv_3x3'"),
        ("|skip~0|pool~1|+|skip~0|skip~2|", "node 2, token 'pool~1': unknown .*there are skip, conv_3x3"),
        ("|skip~0|skip~2|+|skip~0|skip~2|", "node 2, token 'skip~2': .*0 or 1"),
        ("|skip~0|skip|+|skip~0|skip~2|", "node 2, token 'skip': .*0 or 1"),
        ("|skip~0|conv_3x3~0|+|skip~0|skip~2|", "node 2, token 'conv_3x3~0': node 0 is named twice"),
    ],
)
def test_errors_name_the_node_and_the_token(text, where):
    with pytest.raises(ArchitectureError, match=where):
        parse(text)
