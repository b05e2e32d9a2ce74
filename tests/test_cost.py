"""Counts against Keras, against published totals, and against the products really done."""

import re

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cvlab.convolution_matrix import convolution_matrix
from cvlab.cost import (
    LayerCost,
    activation_bytes,
    conv2d_cost,
    conv2d_transpose_cost,
    dense_cost,
    depthwise_conv2d_cost,
    inference_bytes,
    separable_conv2d_cost,
    training_bytes,
)


def test_the_layer_of_the_lecture():
    # Claim C02: 200 filters of 5 x 5 over an RGB image of 150 x 100.
    cost = conv2d_cost((150, 100, 3), 5, 200, padding="same")
    assert cost == LayerCost((150, 100, 200), 15_200, 225_000_000)
    assert cost.flops == 450_000_000
    assert activation_bytes(cost.output_shape) == 12_000_000
    assert activation_bytes(cost.output_shape, batch=100) == 1_200_000_000
    dense = dense_cost(150 * 100 * 3, 150 * 100 * 200)
    assert dense.parameters == 45_000 * 3_000_000 + 3_000_000


def test_vgg16():
    # Simonyan and Zisserman 2015: 138,357,544 parameters; 15.47 G multiply-adds.
    shape, parameters, macs = (224, 224, 3), 0, 0
    for filters, layers in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(layers):
            cost = conv2d_cost(shape, 3, filters, padding="same")
            shape, parameters, macs = (
                cost.output_shape,
                parameters + cost.parameters,
                macs + cost.macs,
            )
        shape = (shape[0] // 2, shape[1] // 2, filters)
    for inputs, units in ((25_088, 4096), (4096, 4096), (4096, 1000)):
        cost = dense_cost(inputs, units)
        parameters, macs = parameters + cost.parameters, macs + cost.macs
    assert parameters == 138_357_544
    assert macs == 15_470_264_320


def test_alexnet_with_its_two_groups():
    # Krizhevsky et al. 2012 on two devices: 60,965,224 parameters.
    layers = [
        conv2d_cost((227, 227, 3), 11, 96, stride=4),
        conv2d_cost((27, 27, 96), 5, 256, padding=2, groups=2),
        conv2d_cost((13, 13, 256), 3, 384, padding=1),
        conv2d_cost((13, 13, 384), 3, 384, padding=1, groups=2),
        conv2d_cost((13, 13, 384), 3, 256, padding=1, groups=2),
        dense_cost(9216, 4096),
        dense_cost(4096, 4096),
        dense_cost(4096, 1000),
    ]
    assert sum(layer.parameters for layer in layers) == 60_965_224
    assert layers[0].output_shape == (55, 55, 96)
    assert layers[1].macs == 27 * 27 * 256 * 5 * 5 * 48


SHAPE = (9, 12, 6)
STEP = {"strides": 2, "padding": "same"}


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    ("layer", "count"),
    [
        (
            lambda b: keras.layers.Conv2D(8, (3, 2), use_bias=b, **STEP),
            lambda b: conv2d_cost(SHAPE, (3, 2), 8, stride=2, padding="same", bias=b),
        ),
        (
            lambda b: keras.layers.Conv2D(8, 3, groups=2, dilation_rate=2, use_bias=b),
            lambda b: conv2d_cost(SHAPE, 3, 8, groups=2, dilation=2, bias=b),
        ),
        (
            lambda b: keras.layers.DepthwiseConv2D(3, depth_multiplier=2, use_bias=b, **STEP),
            lambda b: depthwise_conv2d_cost(SHAPE, 3, 2, stride=2, padding="same", bias=b),
        ),
        (
            lambda b: keras.layers.SeparableConv2D(8, 3, depth_multiplier=2, use_bias=b, **STEP),
            lambda b: separable_conv2d_cost(SHAPE, 3, 8, 2, stride=2, padding="same", bias=b),
        ),
        (
            lambda b: keras.layers.Conv2DTranspose(8, (2, 3), strides=3, use_bias=b),
            lambda b: conv2d_transpose_cost(SHAPE, (2, 3), 8, stride=3, bias=b),
        ),
        (
            lambda b: keras.layers.Conv2DTranspose(8, 4, use_bias=b, **STEP),
            lambda b: conv2d_transpose_cost(SHAPE, 4, 8, stride=2, padding="same", bias=b),
        ),
    ],
)
def test_parameters_and_shapes_are_those_of_keras(layer, count, bias):
    built, cost = layer(bias), count(bias)
    built.build((None, *SHAPE))
    assert cost.parameters == built.count_params()
    assert cost.output_shape == tuple(built.compute_output_shape((None, *SHAPE)))[1:]


def test_dense_parameters_are_those_of_keras():
    for bias in (True, False):
        layer = keras.layers.Dense(7, use_bias=bias)
        layer.build((None, 30))
        assert dense_cost(30, 7, bias=bias).parameters == layer.count_params()
    assert dense_cost(30, 7) == LayerCost((7,), 217, 210)


@settings(max_examples=30, deadline=None)
@given(
    st.tuples(st.integers(1, 3), st.integers(1, 2)),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.sampled_from([1, 2]),
    st.integers(1, 2),
)
def test_macs_are_the_products_of_the_matrix(kernel, stride, groups, dilation):
    # Without padding, every entry of the convolution's matrix that is not 0 is one product.
    weights = np.ones((*kernel, 4 // groups, 2))
    step = {"stride": stride, "dilation": dilation, "groups": groups}
    matrix = convolution_matrix(weights, (5, 6), **step)
    cost = conv2d_cost((5, 6, 4), kernel, 2, **step)
    assert cost.macs == np.count_nonzero(matrix)
    assert cost.flops == 2 * cost.macs


def test_products_with_the_padding_count():
    assert conv2d_cost((1, 1, 1), 3, 1, padding="same").macs == 9
    assert conv2d_cost((5, 6, 1), 3, 1, padding=2).macs == conv2d_cost((9, 10, 1), 3, 1).macs


def test_a_transpose_costs_what_its_convolution_costs():
    forth = conv2d_cost((9, 11, 2), 3, 5, stride=2, bias=False)
    back = conv2d_transpose_cost(forth.output_shape, 3, 2, stride=2, bias=False)
    assert back == LayerCost((9, 11, 2), forth.parameters, forth.macs)


def test_separable_is_its_two_steps():
    # Chollet 2017 and Howard et al. 2017: 1 / filters + 1 / kernel area of the full convolution.
    deep = depthwise_conv2d_cost((14, 14, 64), 3, padding="same", bias=False)
    point = conv2d_cost((14, 14, 64), 1, 128)
    both = separable_conv2d_cost((14, 14, 64), 3, 128, padding="same")
    assert both.macs == deep.macs + point.macs
    full = conv2d_cost((14, 14, 64), 3, 128, padding="same")
    assert both.macs / full.macs == pytest.approx(1 / 128 + 1 / 9)


def test_memory():
    shapes = [(10, 10, 3), (10, 10, 8), (5, 5, 8), (5, 5, 64), (10,)]
    values = [300, 800, 200, 1600, 10]
    assert [activation_bytes(s) for s in shapes] == [4 * v for v in values]
    assert inference_bytes(shapes) == 4 * (200 + 1600)
    assert training_bytes(shapes) == 4 * sum(values)
    assert inference_bytes(shapes, batch=3, dtype="float16") == 3 * 2 * 1800
    assert training_bytes(shapes, batch=3, dtype=np.float64) == 3 * 8 * sum(values)
    assert inference_bytes([(2, 3)]) == training_bytes([(2, 3)]) == 24
    assert inference_bytes([(9,), (1,)]) == inference_bytes([(1,), (9,)]) == 40


def test_counts_are_exact_integers():
    cost = conv2d_cost((10**5, 10**5, 10**3), 99, 10**4, padding="same")
    assert cost.macs == 99**2 * 10**17
    assert isinstance(cost.macs, int)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: conv2d_cost((5, 5, 3), 3, 4, groups=2),
            "groups must divide the number of input channels 3, got 2",
        ),
        (
            lambda: conv2d_cost((5, 5, 3), 3, 4, groups=3),
            "groups must divide the number of output channels 4, got 3",
        ),
        (lambda: conv2d_cost((5, 5), 3, 4), "input_shape must be one integer or 3 of them, got"),
        (lambda: conv2d_cost((5, 2, 3), 3, 4), "covers 3 pixels and width 2"),
        (lambda: conv2d_cost((5, 5, 3), 3, 0), "filters must be an integer >= 1, got 0"),
        (lambda: depthwise_conv2d_cost((5, 5, 3), 3, 0), "multiplier must be an integer >= 1"),
        (lambda: conv2d_transpose_cost((1, 1, 1), 3, 1, padding=2), "padding must leave at least"),
        (lambda: dense_cost(3, 0), "units must be an integer >= 1, got 0"),
        (lambda: activation_bytes((3, 0)), "shape[1] must be an integer >= 1, got 0"),
        (lambda: activation_bytes((3, 1), batch=0), "batch must be an integer >= 1, got 0"),
        (lambda: activation_bytes(5), "shape must be a sequence of integers, got 5"),
        (lambda: activation_bytes((3,), dtype="foo"), "dtype must name a NumPy type, got 'foo'"),
        (lambda: activation_bytes((3,), dtype=None), "dtype must name a NumPy type, got None"),
        (lambda: activation_bytes((3,), dtype="str"), "dtype must name a NumPy type, got 'str'"),
        (lambda: inference_bytes([(3,), 5]), "shape must be a sequence of integers, got 5"),
        (lambda: training_bytes([]), "shapes must hold at least one shape, got none"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()
