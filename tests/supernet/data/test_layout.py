from pathlib import Path

import pytest

from supernet.data.layout import layout
from supernet.errors import UserError


def put(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def test_classes_and_files_come_in_alphabetical_order(tmp_path: Path) -> None:
    put(tmp_path, "b/2.png", "b/1.JPG", "a/1.png", "a/3.png", "a/2.gif")
    train, test = layout(tmp_path)
    assert test is None
    assert [(name, [path.name for path in paths]) for name, paths in train.items()] == [
        ("a", ["1.png", "2.gif", "3.png"]),
        ("b", ["1.JPG", "2.png"]),
    ]


def test_folders_train_and_test_are_the_two_sets(tmp_path: Path) -> None:
    put(tmp_path, "train/a/1.png", "train/b/2.png", "test/a/3.png", "test/b/4.png", "readme/c/5.png")
    train, test = layout(tmp_path)
    assert test is not None
    assert (list(train), list(test)) == (["a", "b"], ["a", "b"])
    assert test["b"] == [tmp_path / "test" / "b" / "4.png"]


def test_what_is_hidden_or_no_image_is_left_out(tmp_path: Path) -> None:
    put(tmp_path, "a/1.png", "a/2.png", "b/1.png", "b/2.png")
    put(tmp_path, "a/._1.png", "a/Thumbs.db", "labels.csv", ".cache/1.png", "a/deeper/3.png")
    train, _ = layout(tmp_path)
    assert {name: len(paths) for name, paths in train.items()} == {"a": 2, "b": 2}


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    put(tmp_path, "train/1.png", "train/2.png", "plane/1.png", "plane/2.png")
    train, test = layout(tmp_path)
    assert test is None
    assert list(train) == ["plane", "train"]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], r"root has no subfolders.*<root>/train/<class>/\*"),
        (["1.png", "2.png"], r"root has no subfolders.*<root>/<class>/\*"),
        (["a/1.png", "a/2.png"], "only one subfolder"),
        (["a/1.png", "a/2.png", "b/note.txt"], r"b has no image files \(.*\.png.*add some or remove it"),
        (["a/1.png", "a/2.png", "b/1.png"], r"b has one image.*add images"),
        (["train/a/1.png", "train/b/1.png"], "'train', but none named 'test'; expected"),
        (["test/a/1.png", "test/b/1.png"], "'test', but none named 'train'; expected"),
        (["train/1.png", "test/1.png"], "train has no subfolders"),
        (
            ["train/a/1.png", "train/b/1.png", "test/a/1.png", "test/c/1.png"],
            r"test has no class 'b'; .* same classes \(2 differ: b, c\)",
        ),
    ],
)
def test_another_layout_is_refused_with_what_is_expected(tmp_path: Path, names: list[str], message: str) -> None:
    root = tmp_path / "root"
    root.mkdir()
    put(root, *names)
    with pytest.raises(UserError, match=message):
        layout(root)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"data\.root=.*none: there is no such folder; expected"):
        layout(tmp_path / "none")


def test_the_test_set_may_lie_in_a_folder_of_another_name(tmp_path: Path) -> None:
    put(tmp_path, "train/a/1.png", "train/b/2.png", "val/a/3.png", "val/b/4.png")
    _, test = layout(tmp_path, "val")
    assert test is not None
    assert test["b"] == [tmp_path / "val" / "b" / "4.png"]
    with pytest.raises(UserError, match=r"'train', but none named 'test'; .*data\.test_folder="):
        layout(tmp_path)
    put(tmp_path, "val/c/5.png")
    with pytest.raises(UserError, match=r"train has no class 'c'; train and val must"):
        layout(tmp_path, "val")
