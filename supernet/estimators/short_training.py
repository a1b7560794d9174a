"""Accuracy after a short training, the plainest estimate of what a long one would give.

Its images are the task's: most of them train, the others judge. They are not augmented, and always in the same
class-balanced batches, whose order is drawn anew in each epoch.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from search_spaces.architecture import Architecture
from supernet import seeds
from supernet.estimators.base import Measured, Task


class ShortTraining(Measured):
    """The share of held-out images that a stand-alone network gets right.

    Every network begins with the same seed and sees the same batches. The optimizer is SGD with Nesterov's momentum of
    0.9, and the learning rate falls to zero along a cosine (Dong and Yang, 2020, arXiv:2001.00326, train so for 200
    epochs). What cannot learn, because its output does not depend on the input, scores minus infinity.

    Args:
        task: what is scored, and on which images.
        epochs: how long.
        batch_size: images in a batch.
        lr: the first learning rate.
        weight_decay: of all weights.
        held_out: the share of the batches that judge.

    Raises ValueError for settings that make no sense, and where there are fewer than two batches of images.
    """

    def __init__(
        self,
        task: Task,
        epochs: int = 8,
        batch_size: int = 64,
        lr: float = 0.1,
        weight_decay: float = 5e-4,
        held_out: float = 0.2,
    ) -> None:
        for name, value in (("epochs", epochs), ("batch_size", batch_size)):
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} is {value}: it must be a whole number, at least 1")
        if not lr > 0:
            raise ValueError(f"lr is {lr}: it must be positive")
        if not 0 < held_out < 1:
            raise ValueError(f"held_out is {held_out}: it must be between 0 and 1")
        batches = len(task.samples.labels) // batch_size
        if batches < 2:
            raise ValueError(
                f"batch_size is {batch_size}, but there are {len(task.samples.labels)} images: two batches are needed, "
                "one that trains and one that judges"
            )
        self.task = task
        self.epochs = epochs
        self.batch_size = batch_size
        self.lr = lr
        self.weight_decay = weight_decay
        judging = min(batches - 1, max(1, round(held_out * batches)))
        self.training, self.judging = range(batches - judging), range(batches - judging, batches)

    def measurements(self, architecture: Architecture) -> tuple[float, ...]:
        """See `Measured.measurements`."""
        if not self.task.space.is_valid(architecture):
            return (-torch.inf,)
        device = self.task.device
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []), torch.enable_grad():
            torch.manual_seed(seeds.derive(self.task.seed, seeds.SCORE))
            network = self.task.space.network(architecture).to(device).train()
            optimizer = torch.optim.SGD(
                network.parameters(), self.lr, momentum=0.9, weight_decay=self.weight_decay, nesterov=True
            )
            schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self.epochs)
            for _ in range(self.epochs):
                for index in torch.randperm(len(self.training)).tolist():
                    images, labels = self.task.samples.batch(self.batch_size, self.training[index], device)
                    optimizer.zero_grad()
                    F.cross_entropy(network(images), labels).backward()
                    optimizer.step()
                schedule.step()
        network.eval()
        with torch.no_grad():
            batches = (self.task.samples.batch(self.batch_size, number, device) for number in self.judging)
            hits = torch.cat([network(images).argmax(dim=1) == labels for images, labels in batches])
        return (float(hits.double().mean()),)
