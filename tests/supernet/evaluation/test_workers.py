import pickle

import pytest
import torch

from supernet.estimators.base import CPU
from supernet.evaluation.workers import _packed, _unpacked, begin, timed
from tests.supernet.estimators.tasks import SMALL, task
from tests.supernet.evaluation.estimators import Placed, Sensitive


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (0, 3, 1, 2), (3, 2, 1, 0)])
def test_images_arrive_with_the_same_values_in_the_same_order_of_memory(order):
    images = torch.randn(2, 3, 4, 5).permute(order)
    arrived = _unpacked(*pickle.loads(pickle.dumps(_packed(images))))
    assert torch.equal(arrived, images)
    assert arrived.stride() == images.stride()
    assert arrived.dtype == images.dtype


def test_the_seconds_are_those_of_the_measuring():
    (architecture,) = SMALL.sample(1, torch.Generator().manual_seed(0))
    found = timed(Sensitive(task()), architecture)
    assert found.values == Sensitive(task()).measurements(architecture)
    assert 0 < found.seconds < 60


def test_a_process_that_ends_by_itself_is_reported_with_its_status():
    (worker,) = begin(Placed, task(), 1, [CPU])
    worker.jobs.close()  # there is no more to do for it
    worker.busy.append((0, SMALL.sample(1, torch.Generator().manual_seed(0))[0]))
    message = str(worker.death())
    assert SMALL.format(worker.busy[0][1]) in message
    assert "ended with status 0" in message
