"""What the batch norms of an untrained network normalise by."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

Normalisation = Literal["batch", "instance", "identity"]
"""``batch``: by the statistics of the batch, which couples its images; ``instance``: by those of each image, which is
what batches of one image give; ``identity``: not at all, only batch norm's own scale and shift are applied."""


@contextlib.contextmanager
def normalised(how: Normalisation) -> Iterator[None]:
    """Let all batch norms normalise in this way; none of them but ``batch`` touches running statistics."""
    if how not in get_args(Normalisation):
        raise ValueError(f"normalisation is {how!r}: it must be one of {', '.join(get_args(Normalisation))}")
    if how == "batch":
        yield
        return
    with _Replaced(_by_image if how == "instance" else _not_at_all):
        yield


class _Replaced(TorchFunctionMode):
    def __init__(self, batch_norm: Callable[..., Tensor]) -> None:
        super().__init__()
        self.batch_norm = batch_norm

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is F.batch_norm:
            return self.batch_norm(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


def _not_at_all(
    x: Tensor, mean: Tensor | None, var: Tensor | None, weight: Tensor | None = None, bias: Tensor | None = None,
    training: bool = False, momentum: float = 0.1, eps: float = 1e-5,
) -> Tensor:  # fmt: skip
    x = x if weight is None else x * weight[:, None, None]
    return x if bias is None else x + bias[:, None, None]


def _by_image(
    x: Tensor, mean: Tensor | None, var: Tensor | None, weight: Tensor | None = None, bias: Tensor | None = None,
    training: bool = False, momentum: float = 0.1, eps: float = 1e-5,
) -> Tensor:  # fmt: skip
    # A group for each channel. Channels first: of channels last torch takes the variance as a difference of squares.
    return torch.group_norm(x.contiguous(), x.shape[1], weight, bias, eps)
