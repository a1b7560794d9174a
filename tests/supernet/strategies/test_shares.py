"""Which of an evaluation's processes this is, from settings and environment."""

import pytest

from supernet.errors import UserError
from supernet.strategies.places import ALONE
from supernet.strategies.shares import shared

SLURM = {"SLURM_NTASKS": "4", "SLURM_STEP_ID": "0", "SLURM_NODEID": "1", "SLURM_LOCALID": "1", "SLURM_PROCID": "3"}
TORCHRUN = {"LOCAL_RANK": "1", "GROUP_RANK": "1", "RANK": "3", "WORLD_SIZE": "4"}


@pytest.fixture(autouse=True)
def _no_traces(monkeypatch):
    for name in ("SLURM_NTASKS", "SLURM_NTASKS_PER_NODE", "SLURM_JOB_NAME", "SLURM_NODELIST", "SLURM_JOB_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MASTER_ADDR", "node0")
    monkeypatch.setenv("MASTER_PORT", "29500")


def who(nodes, workers, environment):
    """Its number, of how many, and how many on its node."""
    found = shared(nodes, workers, environment)
    assert found.leads == ((found.node, found.local) == (0, (0,)))
    return found.node * len(found.devices) + found.local[0], found.size, len(found.devices)


def test_a_process_that_nothing_has_started_is_alone():
    assert shared(1, None, {}) == shared(1, 8, {}) == ALONE
    assert shared(1, 8, {"NODE_RANK": "0", "MASTER_ADDR": "here"}) == ALONE
    assert shared(1, None, {"LOCAL_RANK": "0", "GROUP_RANK": "0", "WORLD_SIZE": "1"}) == ALONE
    assert shared(1, None, {"SLURM_NTASKS": "8"}) == ALONE  # in a batch script, without srun


@pytest.mark.parametrize("workers", [None, 1, 8])
@pytest.mark.parametrize("node", [0, 1, 2])
def test_by_hand_there_is_one_on_every_node_and_it_needs_no_address(node, workers):
    assert who(3, workers, {"NODE_RANK": str(node)}) == (node, 3, 1)


@pytest.mark.parametrize("workers", [None, 1, 8])
def test_torchrun_may_start_one_on_every_node(workers):
    assert who(2, workers, {"LOCAL_RANK": "0", "GROUP_RANK": "1", "WORLD_SIZE": "2"}) == (1, 2, 1)


def test_torchrun_may_start_each_worker():
    assert who(2, 2, TORCHRUN) == (3, 4, 2)
    assert who(1, 4, {**TORCHRUN, "GROUP_RANK": "0", "LOCAL_RANK": "3"}) == (3, 4, 4)


def test_srun_may_start_one_on_every_node_or_each_worker(monkeypatch):
    for name, value in SLURM.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=r"SLURM: .*Use `--ntasks-per-node"):
        shared(2, 2, SLURM)
    monkeypatch.setenv("SLURM_NTASKS_PER_NODE", "2")
    assert who(2, 2, SLURM) == (3, 4, 2)
    one = {**SLURM, "SLURM_NTASKS": "2", "SLURM_LOCALID": "0", "SLURM_PROCID": "1"}
    for name, value in one.items():
        monkeypatch.setenv(name, value)
    assert who(2, None, one) == (1, 2, 1)


def test_a_task_of_an_array_may_be_a_node(monkeypatch):
    array = {"SLURM_NTASKS": "1", "SLURM_ARRAY_TASK_ID": "5", "NODE_RANK": "5"}
    monkeypatch.setenv("SLURM_NTASKS", "1")
    assert who(8, None, array) == (5, 8, 1)


MISTAKES = [
    ((2, None, {}), "num_nodes=2: start the same command on every node with NODE_RANK"),
    ((2, None, {"NODE_RANK": "2"}), "this is process 0 on node 2, of 2 in all; let them agree"),
    ((2, None, {"NODE_RANK": "-1"}), "on node -1"),
    ((2, None, {"NODE_RANK": "one"}), "NODE_RANK=one in the environment: it must be a whole number"),
    (
        (2, None, TORCHRUN),
        "num_nodes=2 and workers=null make one process on each node, but this is process 1 on node 1",
    ),
    ((1, None, {**TORCHRUN, "GROUP_RANK": "0"}), "num_nodes=1 and workers=null"),
    ((2, 3, TORCHRUN), "workers=3 make one process on each node, or 3, but this is process 1 on node 1, of 4 in all"),
    ((3, 2, TORCHRUN), "of 4 in all; let them agree"),
]


@pytest.mark.parametrize(("settings", "message"), MISTAKES)
def test_settings_that_do_not_fit_the_environment_are_refused(settings, message):
    with pytest.raises(UserError) as caught:
        shared(*settings)
    assert message in str(caught.value)
