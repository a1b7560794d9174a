"""TensorBoard's own readers see the runs of a sweep side by side."""

from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.context import RequestContext
from tensorboard.plugins.base_plugin import TBContext
from tensorboard.plugins.hparams import api_pb2, get_experiment, list_session_groups
from tensorboard.plugins.hparams.backend_context import Context

from supernet import search
from tests.commands import TINY, run

BRIEF = ("epochs=1", "trainer.limit_train_batches=2", "trainer.limit_val_batches=2")


def test_the_table_of_a_sweep_has_what_was_changed_and_what_came_of_it(tmp_path, monkeypatch):
    settings = ("sweep=seeds", "relaxation=softmax,dirichlet", "seed=3", *TINY, *BRIEF)
    assert run(monkeypatch, search.main, *settings, f"hydra.sweep.dir={tmp_path}") == 0
    runs = EventMultiplexer()
    runs.AddRunsFromDirectory(str(tmp_path))
    runs.Reload()
    context = Context(TBContext(data_provider=MultiplexerDataProvider(runs, str(tmp_path))))
    experiment = get_experiment.Handler(RequestContext(), context, "", api_pb2.GetExperimentRequest()).run()
    assert [info.name for info in experiment.hparam_infos if info.differs] == ["relaxation"]
    assert "sweep" not in [info.name for info in experiment.hparam_infos]
    request = api_pb2.ListSessionGroupsRequest(start_index=0, slice_size=9)
    request.allowed_statuses.append(api_pb2.STATUS_SUCCESS)
    for info in experiment.hparam_infos:
        request.col_params.add(hparam=info.name)
    for info in experiment.metric_infos:
        request.col_params.add().metric.CopyFrom(info.name)
    found = list_session_groups.Handler(RequestContext(), context, "", request).run().session_groups
    assert {group.name: group.hparams["relaxation"].string_value for group in found} == {
        "0": "softmax",
        "1": "dirichlet",
    }
    for group in found:
        metrics = {value.name.tag: value.value for value in group.metric_values}
        assert 0 <= metrics["accuracy/discretized"] <= 1
        assert metrics["benchmark/cifar10"] > 1
