"""A second head in the middle of a deep network, for its training only.

Szegedy et al., 2015, arXiv:1409.4842; in the form of the DARTS code (Liu et al., 2019, arXiv:1806.09055).
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class AuxiliaryHead(nn.Module):
    """Pooling to 2x2, two convolutions, a linear layer.

    Args:
        channels: of the map it reads.
        num_classes: classes.
        imagenet: the published head for maps of 7x7, which has no second batch norm; else that for 8x8.
    """

    def __init__(self, channels: int, num_classes: int, imagenet: bool) -> None:
        super().__init__()
        self.stride = 2 if imagenet else 3
        self.features = nn.Sequential(
            nn.Conv2d(channels, 128, 1, bias=False), nn.BatchNorm2d(128), nn.ReLU(),
            nn.Conv2d(128, 768, 2, bias=False), nn.Identity() if imagenet else nn.BatchNorm2d(768), nn.ReLU(),
        )  # fmt: skip
        self.classifier = nn.Linear(768, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``(batch, classes)`` of a map ``(batch, channels, h, w)``."""
        x = F.relu(x)
        sides = [(side - 5) // self.stride + 1 for side in x.shape[2:]]
        # Pooling over 5x5 gives 2x2 for the published sizes; for other sizes the pooling is adapted.
        x = F.avg_pool2d(x, 5, self.stride) if sides == [2, 2] else F.adaptive_avg_pool2d(x, 2)
        return self.classifier(self.features(x).flatten(1))
