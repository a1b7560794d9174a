import csv

import pytest
import pytorch_lightning as pl

from search_spaces.darts import DARTS
from supernet import search, train
from supernet.callbacks.size_table import SizeTable
from supernet.genotype import Genotype
from tests.commands import run
from tests.supernet.searches import SPACE, TWO_CELLS, assert_resumes_exactly, fit, module


def text(convolutions: int) -> str:
    """An architecture of NAS-Bench-201 with so many convolutions, then skips."""
    ops = ["nor_conv_3x3"] * convolutions + ["skip_connect"] * (6 - convolutions)
    return f"|{ops[0]}~0|+|{ops[1]}~0|{ops[2]}~1|+|{ops[3]}~0|{ops[4]}~1|{ops[5]}~2|"


class Scripted(SizeTable):
    """A table that is shown given architectures and accuracies instead of the search's own."""

    def __init__(self, folder, script, **arguments):
        super().__init__(folder, **arguments)
        self.script = script

    def result(self, trainer, module):
        convolutions, accuracy = self.script[trainer.current_epoch]
        module.genotype = lambda: SPACE.parse(text(convolutions))
        trainer._logger_connector._callback_metrics[self.metric] = accuracy
        return super().result(trainer, module)


def rows(folder):
    with (folder / "sizes.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_most_accurate_architecture_of_every_size_is_kept(tmp_path):
    script = [(6, 0.5), (4, 0.6), (6, 0.7), (4, 0.3), (6, 0.7)]
    search = module()
    fit(search, epochs=5, callbacks=[Scripted(tmp_path, script)])
    table = rows(tmp_path)
    assert [row["size"] for row in table] == ["6", "4"]
    assert [float(row["accuracy"]) for row in table] == [0.7, 0.6]
    assert [row["epoch"] for row in table] == ["3", "2"]
    assert [row["genotype"] for row in table] == [text(6), text(4)]
    assert int(table[0]["parameters"]) > int(table[1]["parameters"])
    for size, epoch in ((6, 3), (4, 2)):
        genotype = Genotype.load(tmp_path / "sizes" / str(size))
        assert genotype.architecture == text(size)
        assert genotype.metrics["epoch"] == epoch
    assert search.found is None


def test_sizes_of_cell_types_are_counted_apart_and_logged(tmp_path):
    trainer = fit(module(space=TWO_CELLS), callbacks=[SizeTable(tmp_path)])
    (row,) = rows(tmp_path)
    counts = [int(trainer.callback_metrics[f"genotype/convolutions_{cell}"]) for cell in ("normal", "reduce")]
    assert row["size"] == "-".join(map(str, counts))
    assert [int(row[f"convolutions_{cell}"]) for cell in ("normal", "reduce")] == counts
    assert float(row["accuracy"]) == pytest.approx(float(trainer.callback_metrics["accuracy/supernet"]))
    assert DARTS().parse(row["genotype"])


def test_too_few_convolutions_for_some_epochs_on_end_end_the_search(tmp_path):
    script = [(6, 0.5), (3, 0.9), (5, 0.6), (3, 0.9), (2, 0.9), (6, 0.9)]
    search = module()
    trainer = fit(search, epochs=6, callbacks=[Scripted(tmp_path, script, min_convolutions=4, patience=2)])
    assert trainer.current_epoch == 5
    assert search.found == SPACE.parse(text(5))  # the best of those that have four


def test_a_search_that_reaches_its_end_has_the_best_that_is_large_enough(tmp_path):
    script = [(6, 0.5), (5, 0.6), (4, 0.7), (3, 0.9)]
    search = module()
    fit(search, epochs=4, callbacks=[Scripted(tmp_path, script, min_convolutions=4, patience=9)])
    assert search.found == SPACE.parse(text(4))


def test_a_search_that_met_nothing_large_enough_goes_on(tmp_path):
    script = [(1, 0.5), (0, 0.6), (1, 0.7)]
    search = module()
    trainer = fit(search, epochs=3, callbacks=[Scripted(tmp_path, script, min_convolutions=4)])
    assert trainer.current_epoch == 3
    assert search.found is None


def test_table_and_end_survive_a_resume(tmp_path):
    script = [(5, 0.6), (3, 0.7), (5, 0.4), (3, 0.7), (2, 0.8)]
    folders = iter(range(100))

    def callbacks() -> list[pl.Callback]:
        return [Scripted(tmp_path / str(next(folders)), script, min_convolutions=4, patience=2)]

    (tmp_path / "checkpoints").mkdir()
    found = assert_resumes_exactly(module, callbacks, tmp_path / "checkpoints", epochs=9)
    assert found.found == SPACE.parse(text(5))
    assert len(list((tmp_path / "checkpoints").iterdir())) == 5
    whole = (tmp_path / "0" / "sizes.csv").read_text()
    assert (tmp_path / "1" / "sizes.csv").read_text() == whole  # resumed after the first epoch
    assert not (tmp_path / "5").exists()  # resumed after the last: nothing was left to do


def test_what_the_table_holds_is_trained_by_its_name(tmp_path, monkeypatch):
    tiny = ("trainer=cpu", "logger=none", "epochs=1", "search_space.channels=4", "search_space.cells_per_stage=1")
    made_up = ("data=synthetic", "data.num_images=80", "data.size=8", "data.num_classes=3", "batch_size=8")
    folder = tmp_path / "run"
    arguments = (*tiny, *made_up, "callbacks=[default,size_table]", f"hydra.run.dir={folder}")
    assert run(monkeypatch, search.main, *arguments) == 0
    (size,) = (folder / "sizes").iterdir()
    assert (
        run(monkeypatch, train.main, *tiny, "batch_size=8", f"genotype={size}", f"hydra.run.dir={tmp_path / 'trained'}")
        == 0
    )
    saved = Genotype.load(size)
    assert saved.architecture in (tmp_path / "trained" / "metrics.json").read_text()
    assert saved.config["data"]["num_images"] == 80


@pytest.mark.parametrize("arguments", [
    {"metric": "loss/supernet"}, {"min_convolutions": 0}, {"patience": 0},
])  # fmt: skip
def test_arguments_that_make_no_sense_are_refused(arguments, tmp_path):
    with pytest.raises(ValueError, match=next(iter(arguments))):
        SizeTable(tmp_path, **arguments)
