"""Checks that the forward and the backward passes of convolution share.

Each returns its arrays with one common floating type, or raises a `ValueError`.
Layouts are those of :mod:`cvlab.convolution`.
"""

from __future__ import annotations

import numpy as np

from cvlab._validate import float_array, integer
from cvlab.padding import axis_padding, conv_output_size

IMAGES = "(batch, height, width, channels)"
SIGNALS = "(batch, length, channels)"
KERNEL_1D = "(length, in_channels / groups, out_channels)"
KERNEL_2D = "(height, width, in_channels / groups, out_channels)"
KERNEL_DEPTHWISE = "(height, width, channels, multiplier)"
KERNEL_POINTWISE = "(1, 1, channels * multiplier, out_channels)"
KERNEL_TRANSPOSE = "(height, width, out_channels, in_channels)"


def same_type(*arrays: np.ndarray | None) -> list:
    """Return the arrays with their common floating type; `None` stays `None`."""
    dtype = np.result_type(*(a for a in arrays if a is not None))
    return [None if a is None else a.astype(dtype, copy=False) for a in arrays]


def kernel_array(value, name: str, layout: str, axis: int, label: str, length: int) -> np.ndarray:
    """Return a kernel of the `layout`, whose `axis`, called `label`, must have `length`."""
    kernel = float_array(value, name)
    if kernel.ndim != layout.count(",") + 1 or 0 in kernel.shape or kernel.shape[axis] != length:
        raise ValueError(
            f"{name} must have shape {layout} with {label} = {length}, got {kernel.shape}"
        )
    return kernel


def bias_array(value, filters: int) -> np.ndarray | None:
    """Return the bias, one value per filter, or `None`."""
    if value is None:
        return None
    bias = float_array(value, "bias")
    if bias.shape != (filters,):
        raise ValueError(f"bias must have shape ({filters},), got {bias.shape}")
    return bias


def grouped_arguments(x, kernel, bias, groups, data_layout=IMAGES, kernel_layout=KERNEL_2D):
    """Return the checked (x, kernel, bias) of a convolution with groups."""
    x = float_array(x, "x", data_layout.count(",") + 1, data_layout)
    channels = x.shape[-1]
    if channels % integer(groups, "groups", 1):
        raise ValueError(
            f"groups must divide the number of input channels {channels}, got {groups}"
        )
    depth = channels // groups
    kernel = kernel_array(kernel, "kernel", kernel_layout, -2, "in_channels / groups", depth)
    filters = kernel.shape[-1]
    if filters % groups:
        raise ValueError(
            f"groups must divide the number of output channels {filters}, got {groups}"
        )
    return same_type(x, kernel, bias_array(bias, filters))


def on_one_row(size, kernel, stride, padding, dilation) -> dict:
    """Return stride, padding and dilation of a signal of `size` seen as an image one pixel high."""
    conv_output_size(size, kernel, stride, padding, dilation)
    pads = axis_padding(padding, size, kernel, stride, dilation)
    return {"stride": (1, stride), "padding": ((0, 0), pads), "dilation": (1, dilation)}


def depthwise_arguments(x, kernel, bias, name="kernel"):
    """Return the checked (x, kernel, bias) of a depthwise convolution."""
    x = float_array(x, "x", 4, IMAGES)
    kernel = kernel_array(kernel, name, KERNEL_DEPTHWISE, 2, "channels", x.shape[3])
    return same_type(x, kernel, bias_array(bias, kernel.shape[2] * kernel.shape[3]))


def separable_arguments(x, depthwise_kernel, pointwise_kernel, bias):
    """Return the checked (x, depthwise_kernel, pointwise_kernel, bias)."""
    x, deep, _ = depthwise_arguments(x, depthwise_kernel, None, "depthwise_kernel")
    between = deep.shape[2] * deep.shape[3]
    point = kernel_array(
        pointwise_kernel, "pointwise_kernel", KERNEL_POINTWISE, 2, "channels * multiplier", between
    )
    if point.shape[:2] != (1, 1):
        raise ValueError(f"pointwise_kernel must have height and width 1, got shape {point.shape}")
    return same_type(x, deep, point, bias_array(bias, point.shape[3]))


def transpose_arguments(x, kernel, bias):
    """Return the checked (x, kernel, bias) of a transposed convolution."""
    x = float_array(x, "x", 4, IMAGES)
    kernel = kernel_array(kernel, "kernel", KERNEL_TRANSPOSE, 3, "in_channels", x.shape[3])
    return same_type(x, kernel, bias_array(bias, kernel.shape[2]))


def output_gradient(value, shape: tuple[int, ...], dtype) -> np.ndarray:
    """Return the gradient `dy` of an output of the given shape."""
    dy = float_array(value, "dy")
    if dy.shape != tuple(shape):
        raise ValueError(f"dy must have the shape of the output {tuple(shape)}, got {dy.shape}")
    return dy.astype(dtype, copy=False)
