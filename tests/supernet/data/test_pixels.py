import pytest
import torch

from supernet.data.pixels import InMemory

IMAGES = torch.randint(0, 256, (11, 3, 4, 5), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
ORDER = torch.tensor([7, 0, 3, 10, 7])


@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
def test_batches_are_the_images_asked_for_in_channels_last_order(order: torch.memory_format) -> None:
    pixels = InMemory(IMAGES.contiguous(memory_format=order))
    batches = list(pixels.batches(ORDER, 2))
    assert torch.equal(torch.cat(batches), IMAGES[ORDER])
    assert [len(batch) for batch in batches] == [2, 2, 1]
    assert all(batch.is_contiguous(memory_format=torch.channels_last) for batch in batches)
    assert list(pixels.batches(ORDER[:0], 2)) == []


def test_ready_images_are_the_same_in_the_order_of_the_batches_and_are_copied_once() -> None:
    ready = InMemory(IMAGES).ready()
    assert torch.equal(ready.images, IMAGES)
    assert ready.images.is_contiguous(memory_format=torch.channels_last)
    assert ready.ready().images is ready.images
