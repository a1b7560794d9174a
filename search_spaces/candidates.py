"""All candidate operations by name."""

from __future__ import annotations

from search_spaces.mobile import ConvBN, MobileBlock
from search_spaces.nasbench101 import ConvBNReLU
from search_spaces.operations import (
    FactorizedReduce,
    Form,
    Identity,
    Noise,
    Operation,
    Pool,
    ReLUConvBN,
    SeparableBlock,
    SepConv,
)


def build(name: str, copies: int, in_channels: int, out_channels: int, stride: int, form: Form) -> Operation:
    """The operation of this name for ``copies`` edges.

    Raises KeyError for an unknown name, ValueError where an operation that keeps the width is asked to change it.
    """
    if name in form.extra:
        return form.extra[name](copies, in_channels, out_channels, stride, form)
    affine = form.affine
    match name:
        case "nor_conv_1x1":
            return ReLUConvBN(copies, in_channels, out_channels, 1, stride, affine)
        case "nor_conv_3x3":
            return ReLUConvBN(copies, in_channels, out_channels, 3, stride, affine)
        case "skip_connect" if stride > 1:
            return FactorizedReduce(copies, in_channels, out_channels, affine)
        case "identity" if stride > 1 or in_channels != out_channels:
            return ConvBN(copies, in_channels, out_channels, stride, affine)
        case "mb_k3_e3":
            return MobileBlock(copies, in_channels, out_channels, 3, 3, stride, affine)
        case "mb_k5_e6":
            return MobileBlock(copies, in_channels, out_channels, 5, 6, stride, affine)
        case "conv1x1-bn-relu":
            return ConvBNReLU(copies, in_channels, out_channels, 1, stride, affine)
        case "conv3x3-bn-relu":
            return ConvBNReLU(copies, in_channels, out_channels, 3, stride, affine)
    if in_channels != out_channels:
        raise ValueError(f"{name} keeps the number of channels, it cannot make {out_channels} of {in_channels}")
    match name:
        case "skip_connect" | "identity":
            return Identity(copies)
        case "max_pool_3x3" | "avg_pool_3x3":
            return Pool(copies, in_channels, name[:3], stride, form.pool_norm)
        case "maxpool3x3":
            return Pool(copies, in_channels, "max", stride, norm=False)
        case "sep_conv_3x3":
            return SepConv(copies, in_channels, 3, stride, affine)
        case "sep_conv_5x5":
            return SepConv(copies, in_channels, 5, stride, affine)
        case "dil_conv_3x3":
            return SeparableBlock(copies, in_channels, 3, stride, 2, affine)
        case "dil_conv_5x5":
            return SeparableBlock(copies, in_channels, 5, stride, 2, affine)
        case "noise":
            return Noise(copies, stride)
    raise KeyError(f"no operation is called {name!r}")
