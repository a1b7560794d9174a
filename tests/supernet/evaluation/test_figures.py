import pytest

from supernet.evaluation.figures import OVER, UNDER, clean, empty, save


def test_axes_keep_the_two_sides_that_carry_numbers():
    ax = empty(2, 1).add_subplot()
    clean(ax)
    assert [side for side in ax.spines if ax.spines[side].get_visible()] == ["left", "bottom"]


def test_the_two_sides_of_the_line_have_colours_of_their_own():
    assert OVER != UNDER


@pytest.mark.parametrize("title", ["", "a title"])
def test_a_figure_is_saved_as_png(title, tmp_path):
    save(empty(2, 1, title), tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
