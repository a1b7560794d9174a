import pytest
import torch
import yaml

from supernet import search as command
from supernet.callbacks.stopping import Stopping
from supernet.errors import UserError
from supernet.genotype import Genotype
from supernet.relaxations.uniform import Uniform
from tests.commands import TINY, run
from tests.supernet.searches import SPACE, assert_resumes_exactly, fit, module


class StopAt(Stopping):
    """Stops after an epoch with the first architecture of the space, wherever the alphas stand."""

    def __init__(self, epoch):
        self.epoch = epoch
        self.asked = []

    def result(self, trainer, module):
        self.asked.append(trainer.current_epoch)
        return next(SPACE.enumerate()) if trainer.current_epoch >= self.epoch else None


def test_a_search_ends_with_the_result_after_the_epoch_that_gives_one():
    search, callback = module(), StopAt(1)
    trainer = fit(search, epochs=4, callbacks=[callback])
    assert trainer.current_epoch == 2
    assert callback.asked == [0, 1]
    assert search.found == next(SPACE.enumerate()) != search.genotype()


def test_a_stopped_search_stays_stopped_after_a_resume(tmp_path):
    """From the checkpoint of the last epoch, nothing is trained any more: the weights are those of the end."""
    assert_resumes_exactly(module, lambda: [StopAt(1)], tmp_path, epochs=4)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1.ckpt", "2.ckpt"]


def test_an_end_that_was_not_written_is_written_by_a_resume(tmp_path, monkeypatch):
    """The process dies between the last checkpoint and the genotype."""
    folder = tmp_path / "run"
    arguments = (
        *TINY, "epochs=5", "logger=none", "arch_optimizer.lr=0", f"hydra.run.dir={folder}",
        "callbacks=[default,darts_plus]", "callbacks.darts_plus={max_skips: null, stable_epochs: 1}",
    )  # fmt: skip
    with monkeypatch.context() as patch:
        patch.setattr(Genotype, "save", lambda *_: (_ for _ in ()).throw(MemoryError()))
        with pytest.raises(MemoryError):
            run(patch, command.main, *arguments)
    checkpoints = sorted(path.name for path in (folder / "checkpoints").iterdir())
    assert checkpoints == ["epoch_0001.ckpt", "epoch_0002.ckpt"]
    history = (folder / "history.csv").read_text()
    assert run(monkeypatch, command.main, f"resume={folder}") == 0
    assert (folder / "genotype.json").is_file()
    assert (folder / "history.csv").read_text() == history
    assert sorted(path.name for path in (folder / "checkpoints").iterdir()) == checkpoints


def test_the_first_of_several_decides():
    class Other(StopAt):
        def result(self, trainer, module):
            return list(SPACE.enumerate())[7]

    search = module()
    fit(search, epochs=3, callbacks=[StopAt(0), Other(0)])
    assert search.found == next(SPACE.enumerate())


def test_a_warm_up_says_nothing():
    search, callback = module(warmup_epochs=2), StopAt(0)
    assert fit(search, epochs=4, callbacks=[callback]).current_epoch == 3
    assert callback.asked == [2]


def test_a_search_without_alphas_is_refused():
    with pytest.raises(UserError, match="no alphas"):
        fit(module(Uniform()), callbacks=[StopAt(0)])


LOGGED = {
    "eigenvalue": "hessian/eigenvalue", "size_table": "genotype/convolutions_cell", "darts_plus": "genotype/skips",
}  # fmt: skip


@pytest.mark.parametrize("name", LOGGED)
def test_the_callbacks_run_from_the_command_line_beside_the_default_ones(name, tmp_path, monkeypatch):
    arguments = (*TINY, "epochs=1", f"callbacks=[default,{name}]", "logger=none", f"hydra.run.dir={tmp_path / 'run'}")
    assert run(monkeypatch, command.main, *arguments) == 0
    saved = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    assert {"progress", "monitor", name} <= set(saved["callbacks"])
    columns = (tmp_path / "run" / "history.csv").read_text().splitlines()[0].split(",")
    assert LOGGED[name] in columns
    content = torch.load(tmp_path / "run" / "checkpoints" / "epoch_0001.ckpt", weights_only=True)
    assert any(key.lower().startswith(name.replace("_", "")) for key in content["callbacks"])
    assert run(monkeypatch, command.main, f"resume={tmp_path / 'run'}") == 0
