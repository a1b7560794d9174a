"""The plain cell of the published code, one module for each edge and operation: the reference for the batched cell.

Each operation has its own ReLU, convolution and batch norm, each edge its own channel shuffle; nothing is shared.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from search_spaces.architecture import Allowed
from search_spaces.cell import Cell
from search_spaces.network import Network
from search_spaces.operations import Form
from search_spaces.space import SearchSpace

# Where the batched operations keep what the plain ones have at these positions.
NAMES = {
    "nor": {"1": "conv", "2": "norm"},
    "sep": {
        "1": "first.depthwise", "2": "first.pointwise", "3": "first.norm",
        "5": "depthwise", "6": "pointwise", "7": "norm",
    },
    "dil": {"1": "depthwise", "2": "pointwise", "3": "norm"},
    "skip": {"conv_a": "conv_a", "conv_b": "conv_b", "norm": "norm"},
    "max": {"1": "norm"},
    "avg": {"1": "norm"},
    "identity": {"0": "conv", "1": "norm"},
    "mb": {
        "inside.0": "expand", "inside.1": "expand_norm", "inside.3": "depthwise", "inside.4": "depthwise_norm",
        "inside.6": "project", "inside.7": "norm",
    },
    "conv1x1-bn-relu": {"0": "conv", "1": "norm"},
    "conv3x3-bn-relu": {"0": "conv", "1": "norm"},
}  # fmt: skip


class Zero(nn.Module):
    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :, :: self.stride, :: self.stride] * 0


class Noise(nn.Module):
    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        return torch.randn_like(x[:, :, :: self.stride, :: self.stride])


class PlainFactorizedReduce(nn.Module):
    def __init__(self, in_channels: int, out_channels: int, affine: bool) -> None:
        super().__init__()
        self.conv_a = nn.Conv2d(in_channels, out_channels // 2, 1, stride=2, bias=False)
        self.conv_b = nn.Conv2d(in_channels, out_channels - out_channels // 2, 1, stride=2, bias=False)
        self.norm = nn.BatchNorm2d(out_channels, affine=affine)
        self.pad = nn.ConstantPad2d((0, 1, 0, 1), 0.0)

    def forward(self, x: Tensor) -> Tensor:
        x = x.relu()
        return self.norm(torch.cat([self.conv_a(x), self.conv_b(self.pad(x)[:, :, 1:, 1:])], dim=1))


class PlainMobileBlock(nn.Module):
    """As in the code of NAS-Bench-Macro."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int, expansion: int, stride: int, affine: bool
    ) -> None:
        super().__init__()
        hidden = in_channels * expansion
        self.inside = nn.Sequential(
            nn.Conv2d(in_channels, hidden, 1, bias=False),
            nn.BatchNorm2d(hidden, affine=affine),
            nn.ReLU(),
            nn.Conv2d(hidden, hidden, kernel, stride, kernel // 2, groups=hidden, bias=False),
            nn.BatchNorm2d(hidden, affine=affine),
            nn.ReLU(),
            nn.Conv2d(hidden, out_channels, 1, bias=False),
            nn.BatchNorm2d(out_channels, affine=affine),
        )
        self.shortcut = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        return self.inside(x) + x if self.shortcut else self.inside(x)


def relu_conv_norm(in_channels: int, out_channels: int, kernel: int, stride: int, affine: bool) -> list[nn.Module]:
    convolution = nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, bias=False)
    return [nn.ReLU(), convolution, nn.BatchNorm2d(out_channels, affine=affine)]


def separable(channels: int, kernel: int, stride: int, dilation: int, affine: bool) -> list[nn.Module]:
    padding = dilation * (kernel - 1) // 2
    return [
        nn.ReLU(),
        nn.Conv2d(channels, channels, kernel, stride, padding, dilation, groups=channels, bias=False),
        nn.Conv2d(channels, channels, 1, bias=False),
        nn.BatchNorm2d(channels, affine=affine),
    ]


def plain_operation(name: str, channels: int, stride: int, form: Form, wider: int | None = None) -> nn.Module:
    """The operation as one module; ``wider`` channels come out where it changes their number."""
    wider = wider or channels
    kernel, affine = int(name[-1]) if name[-1].isdigit() else 0, form.affine
    match name:
        case "none":
            return Zero(stride)
        case "noise":
            return Noise(stride)
        case "skip_connect":
            return nn.Identity() if stride == 1 else PlainFactorizedReduce(channels, channels, affine)
        case "avg_pool_3x3" | "max_pool_3x3":
            pool = (
                nn.AvgPool2d(3, stride, padding=1, count_include_pad=False)
                if name.startswith("avg")
                else nn.MaxPool2d(3, stride, padding=1)
            )
            return nn.Sequential(pool, nn.BatchNorm2d(channels, affine=False)) if form.pool_norm else pool
        case "nor_conv_1x1" | "nor_conv_3x3":
            return nn.Sequential(*relu_conv_norm(channels, channels, kernel, stride, affine))
        case "sep_conv_3x3" | "sep_conv_5x5":
            twice = separable(channels, kernel, stride, 1, affine), separable(channels, kernel, 1, 1, affine)
            return nn.Sequential(*twice[0], *twice[1])
        case "dil_conv_3x3" | "dil_conv_5x5":
            return nn.Sequential(*separable(channels, kernel, stride, 2, affine))
        case "identity":
            if stride == 1 and wider == channels:
                return nn.Identity()
            convolution = nn.Conv2d(channels, wider, 1, stride, bias=False)
            return nn.Sequential(convolution, nn.BatchNorm2d(wider, affine=affine))
        case "mb_k3_e3":
            return PlainMobileBlock(channels, wider, 3, 3, stride, affine)
        case "mb_k5_e6":
            return PlainMobileBlock(channels, wider, 5, 6, stride, affine)
        case "maxpool3x3":
            return nn.MaxPool2d(3, stride, padding=1)
        case "conv1x1-bn-relu" | "conv3x3-bn-relu":
            kernel = int(name[4])
            convolution = nn.Conv2d(channels, wider, kernel, stride, kernel // 2, bias=False)
            return nn.Sequential(convolution, nn.BatchNorm2d(wider, affine=affine), nn.ReLU())
    raise KeyError(name)


class PlainEdge(nn.Module):
    """All operations of one edge; with partial channels as `MixedOp` in the code of PC-DARTS."""

    def __init__(self, names: Sequence[str], channels: int, stride: int, form: Form, partial: int) -> None:
        super().__init__()
        self.partial = partial
        self.stride = stride
        self.operations = nn.ModuleList(plain_operation(name, channels // partial, stride, form) for name in names)
        self.bypass = nn.MaxPool2d(2, 2, ceil_mode=True)  # published without ceil_mode, for even sizes

    def forward(self, x: Tensor, weights: Tensor) -> Tensor:
        seen = x[:, : x.shape[1] // self.partial]
        rest = x[:, x.shape[1] // self.partial :]
        mixed = sum(weight * operation(seen) for weight, operation in zip(weights, self.operations, strict=True))
        if self.partial == 1:
            return mixed
        joined = torch.cat([mixed, rest if self.stride == 1 else self.bypass(rest)], dim=1)
        batch, channels, height, width = joined.shape
        groups = joined.reshape(batch, self.partial, channels // self.partial, height, width)
        return groups.transpose(1, 2).reshape(batch, channels, height, width)


class PlainCell(nn.Module):
    """Every edge computes every operation on its own; a node is the sum of its weighted edges."""

    def __init__(
        self,
        edges: Sequence[tuple[int, int]],
        operations: Sequence[str],
        channels: int,
        form: Form,
        inputs: int = 1,
        output: str = "last",
        strided: Sequence[int] = (),
        partial: int = 1,
    ) -> None:
        super().__init__()
        self.wires, self.names, self.inputs, self.output = edges, operations, inputs, output
        self.preprocess = nn.ModuleList()
        self.edges = nn.ModuleList(
            PlainEdge(operations, channels, 2 if source in strided else 1, form, partial) for source, _ in edges
        )

    def forward(self, inputs: Sequence[Tensor], weights: Tensor, edges: Tensor | None = None) -> Tensor:
        nodes = list(inputs)
        if self.preprocess:
            nodes = [layer(x) for layer, x in zip(self.preprocess, nodes, strict=True)]
        for node in range(self.inputs, 1 + max(end for _, end in self.wires)):
            total = 0
            for index, (source, end) in enumerate(self.wires):
                if end == node:
                    factor = 1 if edges is None else edges[index]
                    total = total + factor * self.edges[index](nodes[source], weights[index])
            nodes.append(total)
        return nodes[-1] if self.output == "last" else torch.cat(nodes[self.inputs :], dim=1)

    @torch.no_grad()
    def load(self, tensors: Mapping[str, Tensor], cell: Cell) -> None:
        """Take over what a batched cell has of these names: its weights, or its gradients."""
        for group in cell.groups:
            batched = {
                name.removeprefix(f"operations.{group.key}."): tensor
                for name, tensor in tensors.items()
                if name.startswith(f"operations.{group.key}.")
            }
            for row, edge in enumerate(group.edges):
                mine = self.edges[edge].operations[list(self.names).index(group.operation)]
                for name, tensor in [*mine.named_parameters(), *mine.named_buffers()]:
                    layer, _, kind = name.rpartition(".")
                    found = NAMES[group.operation.partition("_")[0]][layer] + "." + kind
                    if tensor.dim() and found in batched:
                        shared = group.operation.endswith("pool_3x3")  # one batch norm for all edges of the group
                        copies = 1 if shared else len(group.edges)
                        tensor.copy_(batched[found].unflatten(0, (copies, -1))[0 if shared else row])
        for index, layer in enumerate(self.preprocess):
            for name, tensor in [*layer.named_parameters(), *layer.named_buffers()]:
                position, _, kind = name.rpartition(".")
                part = {"1": "conv", "2": "norm"}.get(position, position)
                found = f"preprocess.{index}.operation.{part}.{kind}"
                if tensor.dim() and found in tensors:
                    tensor.copy_(tensors[found])


def plain_preprocess(layer: nn.Module) -> nn.Module:
    """The plain form of a batched preprocessing layer."""
    operation = layer.operation
    affine = operation.norm.affine
    if hasattr(operation, "conv_a"):
        width = operation.conv_a.out_channels + operation.conv_b.out_channels
        return PlainFactorizedReduce(operation.conv_a.in_channels, width, affine)
    convolution = operation.conv
    return nn.Sequential(*relu_conv_norm(convolution.in_channels, convolution.out_channels, 1, 1, affine))


def plain(cell: Cell, edges: Sequence[tuple[int, int]], operations: Sequence[str], form: Form) -> PlainCell:
    """The plain cell with the weights and statistics of a batched one."""
    strided = [source for source, stride in enumerate(cell.strides) if stride == 2]
    reference = PlainCell(
        edges, operations, cell.channels[0], form, cell.inputs, cell.output, strided, cell.partial
    )  # fmt: skip
    reference.preprocess.extend(plain_preprocess(layer) for layer in cell.preprocess)
    state = cell.state_dict()
    dtypes = (tensor.dtype for tensor in state.values() if tensor.is_floating_point())
    reference.to(next(dtypes, torch.get_default_dtype()))  # without a parameter there is nothing to convert
    reference.load(state, cell)
    return reference


class PlainNetwork(nn.Module):
    """A network of the same weights, its cells replaced by plain ones."""

    def __init__(self, network: Network, space: SearchSpace, form: Form) -> None:
        super().__init__()
        network = copy.deepcopy(network)
        self.stem = network.stem
        self.types = [layer.cell_type if isinstance(layer, Cell) else None for layer in network.trunk]
        self.trunk = nn.ModuleList(
            plain(layer, space.edges[layer.cell_type], space.operations[layer.cell_type], form)
            if isinstance(layer, Cell)
            else layer
            for layer in network.trunk
        )
        self.head = network.head  # last, as in published code, whose parameters come in this order

    @torch.no_grad()
    def load(self, tensors: Mapping[str, Tensor], network: Network) -> None:
        """Take over what the batched network has of these names: its weights, or its gradients."""
        for index, (mine, theirs) in enumerate(zip(self.trunk, network.trunk, strict=True)):
            if isinstance(mine, PlainCell):
                prefix = f"trunk.{index}."
                mine.load(
                    {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}, theirs
                )
        for name, tensor in [*self.named_parameters(), *self.named_buffers()]:
            if name in tensors:
                tensor.copy_(tensors[name])

    def forward(self, x: Tensor, weights: Allowed, edges: Allowed | None = None) -> Tensor:
        s0 = s1 = self.stem(x)
        for kind, layer in zip(self.types, self.trunk, strict=True):
            if kind is None:
                s0, s1 = s1, layer(s1)
            else:
                inputs = (s1,) if layer.inputs == 1 else (s0, s1)
                s0, s1 = s1, layer(inputs, weights[kind], None if edges is None else edges[kind])
        return self.head(s1)
