"""What scores of per-layer Gram matrices have in common: frozen statistics of a batch, gradients of its beginning."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from supernet.estimators.base import Task
from supernet.estimators.proxies.base import Proxy
from supernet.estimators.proxies.grams import frozen_statistics, layer_grams
from supernet.estimators.proxies.sample_gradients import PerImage
from supernet.samples import Samples

EACH = 4  # images of a class whose gradients are compared, at least


class GramStatistic(Proxy):
    """A score of the Gram matrices of images' gradients, layer by layer.

    Batch norms normalise by the statistics of the whole batch and images are independent of each other, see
    `frozen_statistics`. Scores that use labels need several images of a class: where there are more classes than
    ``gram_batch / 4``, they look only at images of the first so many.

    Args:
        task: what is scored.
        batch_size: images.
        gram_batch: the first of them, whose gradients are compared; all where there are not more.
        batches: how many batches the score is averaged over.
        inits: how many initialisations the score is averaged over.
    """

    def __init__(
        self, task: Task, batch_size: int = 60, gram_batch: int = 40, batches: int = 1, inits: int = 1
    ) -> None:
        super().__init__(task, batch_size, batches, inits)
        if not isinstance(gram_batch, int) or gram_batch < 2 * EACH:
            raise ValueError(f"gram_batch is {gram_batch}: it must be a whole number, at least {2 * EACH}")
        self.gram_batch = min(gram_batch, batch_size)
        self.samples = task.samples
        if self.uses_labels:
            self.samples = of_classes(task.samples, max(2, self.gram_batch // EACH))
            if batch_size > len(self.samples.labels):
                raise ValueError(
                    f"batch_size is {batch_size}, but the classes looked at have {len(self.samples.labels)} images"
                )
            for number in range(batches):
                positions = self.samples.positions(batch_size, number)[: self.gram_batch]
                same_class(self.samples.labels[positions])  # or it cannot be measured

    def batch(self, number: int) -> tuple[Tensor, Tensor]:
        """See `Proxy.batch`."""
        images, labels = self.samples.batch(self.batch_size, number, self.task.device)
        return images.to(self.dtype), labels

    def grams(self, network: nn.Module, images: Tensor, scalar: PerImage) -> list[Tensor]:
        """`layer_grams` of the first images; the network is changed for good."""
        with torch.no_grad():
            frozen_statistics(network, images)
        return layer_grams(network, images[: self.gram_batch], scalar)


def of_classes(samples: Samples, count: int) -> Samples:
    """Samples of the first ``count`` classes only; the same where there are not more."""
    if samples.num_classes <= count:
        return samples
    positions = (samples.labels < count).nonzero().flatten()
    return Samples(
        samples.labels[positions], lambda chosen: samples.load(positions[chosen]), samples.image, count, samples.seed
    )


def same_class(labels: Tensor) -> Tensor:
    """Which two images have the same label: boolean ``(batch, batch)``.

    Raises ValueError where no two images, or all of them, have.
    """
    same = labels[:, None] == labels[None, :]
    if bool(same.all()) or int(same.sum()) == len(labels):
        raise ValueError(
            f"the classes of {len(labels)} images cannot be compared: none has two images, or one has all; give the "
            "estimator a larger batch_size, and images of several classes"
        )
    return same
