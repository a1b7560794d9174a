import pickle
import zipfile

import pytest
import torch

from supernet.callbacks.checkpoint import AtomicCheckpointIO, newest_checkpoint
from supernet.errors import UserError

IO = AtomicCheckpointIO()
WHOLE = {"state_dict": {"w": torch.zeros(50)}, "optimizer_states": [], "callbacks": {}, "loops": {}}


class Attack:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_what_is_saved_is_loaded(tmp_path):
    IO.save_checkpoint({"a": torch.arange(3), "b": {"c": [1, "x"]}}, tmp_path / "deep" / "epoch_0001.ckpt")
    loaded = IO.load_checkpoint(tmp_path / "deep" / "epoch_0001.ckpt")
    assert torch.equal(loaded["a"], torch.arange(3))
    assert loaded["b"] == {"c": [1, "x"]}
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["epoch_0001.ckpt"]


@pytest.mark.parametrize("writer", ["torch", "pickle"])
def test_a_crafted_checkpoint_is_an_error_and_not_an_action(writer, tmp_path):
    path, victim = tmp_path / "epoch_0001.ckpt", tmp_path / "victim"
    if writer == "torch":
        torch.save({"state_dict": Attack(victim)}, path)
    else:
        path.write_bytes(pickle.dumps({"state_dict": Attack(victim)}))
    with pytest.raises(UserError, match=r"epoch_0001.ckpt is no checkpoint"):
        IO.load_checkpoint(path, weights_only=False)
    assert newest_checkpoint(tmp_path) is None
    assert not victim.exists()


def test_a_file_that_holds_something_else_is_refused(tmp_path):
    torch.save([1, 2], tmp_path / "epoch_0001.ckpt")
    with pytest.raises(UserError, match="it holds a list"):
        IO.load_checkpoint(tmp_path / "epoch_0001.ckpt")


def test_the_newest_whole_checkpoint_is_chosen_by_number(tmp_path, caplog):
    for number in (2, 9, 10):
        IO.save_checkpoint(WHOLE, tmp_path / f"epoch_{number:04d}.ckpt")
    (tmp_path / ".epoch_0011.ckpt.x.tmp").write_bytes(b"half")
    (tmp_path / "notes.txt").write_text("x")
    assert newest_checkpoint(tmp_path).name == "epoch_0010.ckpt"
    whole = (tmp_path / "epoch_0010.ckpt").read_bytes()
    (tmp_path / "epoch_0010.ckpt").write_bytes(whole[: len(whole) // 2])
    assert newest_checkpoint(tmp_path).name == "epoch_0009.ckpt"
    assert "epoch_0010.ckpt is damaged" in caplog.text


def test_a_flipped_bit_is_found(tmp_path):
    path = tmp_path / "epoch_0001.ckpt"
    IO.save_checkpoint({**WHOLE, "state_dict": {"w": torch.zeros(1000)}}, path)
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        largest = max(archive.infolist(), key=lambda entry: entry.file_size)
    content[largest.header_offset + 2000] ^= 1
    path.write_bytes(bytes(content))
    assert newest_checkpoint(tmp_path) is None


def test_there_may_be_no_checkpoint(tmp_path):
    assert newest_checkpoint(tmp_path) is None
    assert newest_checkpoint(tmp_path / "nothing") is None


def test_a_crash_while_writing_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "epoch_0001.ckpt"
    IO.save_checkpoint({"n": 1}, path)

    def crash(*_):
        raise OSError("crash")

    monkeypatch.setattr("pathlib.Path.replace", crash)
    with pytest.raises(OSError, match="crash"):
        IO.save_checkpoint({"n": 2}, path)
    assert IO.load_checkpoint(path) == {"n": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["epoch_0001.ckpt"]


def test_no_damage_makes_the_search_for_a_checkpoint_fail(tmp_path, generator):
    path = tmp_path / "epoch_0001.ckpt"
    IO.save_checkpoint(WHOLE, path)
    whole = path.read_bytes()
    for _ in range(300):
        content = bytearray(whole)
        start, length, kind = torch.randint(len(whole), (3,), generator=generator).tolist()
        if kind % 3 == 0:
            content = content[:start]
        elif kind % 3 == 1:
            content[start] ^= 1 << (length % 8)
        else:
            content[start : start + length % 200] = bytes(len(content[start : start + length % 200]))
        path.write_bytes(bytes(content))
        assert newest_checkpoint(tmp_path) in (None, path)


def test_a_file_of_tensors_that_is_no_checkpoint_of_a_run_is_passed_over(tmp_path, caplog):
    IO.save_checkpoint({"a": torch.ones(1)}, tmp_path / "epoch_0001.ckpt")
    assert newest_checkpoint(tmp_path) is None
    assert "it lacks callbacks, loops" in caplog.text
