import math

from supernet.evaluation.runs import changes, distinct, outcome, outcomes, run_folders
from tests.supernet.evaluation.runs import search_run, train_run


def test_a_run_has_finished_or_failed_or_neither(tmp_path):
    found = outcome(search_run(tmp_path / "0", "seed=3", "relaxation=softmax", value=0.5))
    assert (found.state, found.objective, found.value) == ("finished", "accuracy/discretized", 0.5)
    assert (found.seed, found.settings) == ("3", ("relaxation=softmax",))
    found = outcome(search_run(tmp_path / "1", reason="out of memory"))
    assert (found.state, found.reason) == ("failed", "out of memory")
    found = outcome(search_run(tmp_path / "2"))
    assert found.state == "unfinished"
    assert math.isnan(found.value)


def test_what_went_wrong_before_a_run_finished_does_not_count(tmp_path):
    assert outcome(search_run(tmp_path / "0", value=0.5, reason="killed")).state == "finished"


def test_trainings_are_runs_too(tmp_path):
    found = outcome(train_run(tmp_path / "a", "seed=1", "genotype=drnas", accuracy=0.9))
    assert (found.objective, found.value, found.settings) == ("test_accuracy", 0.9, ("genotype=drnas",))
    assert found.metrics == {"test_accuracy": 0.9, "seconds": 5.0}


def test_a_result_that_cannot_be_read_is_a_failure(tmp_path):
    run = search_run(tmp_path / "0", value=0.5)
    (run / "genotype.json").write_text('{"metrics": {"seconds": 1}, "config": {"objective": "accuracy/discretized"}}')
    assert outcome(run).state == "failed"
    (run / "genotype.json").write_text("[]")
    assert "cannot be read" in outcome(run).reason


def test_the_tenth_run_comes_after_the_second_and_other_folders_are_passed_over(tmp_path):
    for index in range(11):
        search_run(tmp_path / str(index))
    for other in (".submitit", "notes"):
        (tmp_path / other).mkdir()
    assert [path.name for path in run_folders(tmp_path)] == [*map(str, range(11)), "notes"]
    assert [run.folder for run in outcomes(tmp_path)] == [*map(str, range(11))]


def test_evaluations_are_passed_over(tmp_path):
    for name in ("evaluate", "fit", "search"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.yaml").write_text(f"seed: 0\ntask_name: {name}\n")
    assert [run.folder for run in outcomes(tmp_path)] == ["search"]


def test_a_job_is_known_by_its_own_record_rather_than_by_hydras(tmp_path):
    run = train_run(tmp_path / "0", "seed=1", accuracy=0.5)
    assert changes(run) == ["seed=1"]
    (run / "job.json").write_text('{"overrides": ["seed=2"]}')
    assert changes(run) == ["seed=2"]
    (run / "job.json").write_text('{"overrides": ')
    assert changes(run) == ["0"]


def test_runs_are_called_by_what_differs():
    assert distinct([["estimator=a", "seed=0"], ["estimator=a", "seed=1"]]) == ["seed=0", "seed=1"]
    assert distinct([["estimator=a", "data=x"], ["estimator=b", "data=x"]]) == ["estimator=a", "estimator=b"]
    assert distinct([["estimator=a", "seed=0"], ["estimator=b", "seed=1"]]) == [
        "estimator=a seed=0", "estimator=b seed=1",
    ]  # fmt: skip
    assert distinct([["estimator=a"], ["estimator=a"]]) == ["run 0", "run 1"]
    assert distinct([["estimator=a", "seed=0"]]) == ["estimator=a seed=0"]


def test_a_search_whose_objective_is_not_finite_has_finished(tmp_path):
    run = search_run(tmp_path / "0", value=0.5)
    (run / "genotype.json").write_text('{"metrics": {"a": null}, "config": {"objective": "a"}}')
    found = outcome(run)
    assert found.state == "finished"
    assert math.isnan(found.value)
