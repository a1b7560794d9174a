"""The processes that share an evaluation: how many commands were started on how many nodes, and which of them this is.

They exchange nothing but files in the folder of the run (`supernet.evaluation.parts`). So they need no address, and no
``torch.distributed``: one that is late, slow or lost keeps no other from its work.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from supernet.errors import UserError
from supernet.strategies.places import ALONE, Places, started


def shared(nodes: int, workers: int | None, environment: Mapping[str, str] = os.environ) -> Places:
    """Where the commands of an evaluation are: one on each node, or one for each worker of each node.

    Args:
        nodes: how many there are.
        workers: processes on a node. As many may be started by ``torchrun`` or ``srun``; else a single command starts
            all of its node.
        environment: what says which of them this is.

    Raises `UserError` where it does not, or where it says something else than these settings.
    """
    if nodes == 1 and not {"LOCAL_RANK", "SLURM_STEP_ID"} & set(environment):  # also a batch script without srun
        return ALONE
    start = started(environment)
    if nodes == 1 and (start.local is None or start.size in (None, 1)):
        return ALONE
    node = 0 if nodes == 1 and start.node is None else start.node
    if node is None:
        raise UserError(
            f"num_nodes={nodes}: start the same command on every node with NODE_RANK (0 to {nodes - 1}) in the "
            "environment, or let torchrun or srun start it"
        )
    each = workers if workers and start.size == nodes * workers else 1
    local = start.local or 0
    if start.size not in (None, nodes * each) or not 0 <= node < nodes or not 0 <= local < each:
        raise UserError(
            f"num_nodes={nodes} and workers={'null' if workers is None else workers} make one process on each node"
            f"{'' if not workers or workers == 1 else f', or {workers}'}, but this is process {local} on node {node}, "
            f"of {start.size or nodes} in all; let them agree"
        )
    return Places("cpu", tuple(range(each)), nodes, node, (local,))
