"""Squeeze-and-excitation, separable convolution, inverted residual."""

import keras
import numpy as np
import pytest
from keras import layers

from cvlab.networks.blocks import inverted_residual, separable_conv, squeeze_excitation

RNG = np.random.default_rng(0)


def built(block, *args, shape=(6, 5, 8), **options):
    image = keras.Input(shape)
    return keras.Model(image, block(image, *args, **options))


def images(*shape):
    return RNG.normal(size=shape).astype("float32")


def test_squeeze_excitation_is_the_formula():
    """Hu et al. 2018, equations 2 to 4."""
    model = built(squeeze_excitation, 4, "gate", shape=(6, 5, 16))
    x = images(2, 6, 5, 16)
    w1, b1, w2, b2 = [images(*w.shape) for w in model.weights]
    model.set_weights([w1, b1, w2, b2])
    hidden = np.maximum(x.mean(axis=(1, 2)) @ w1 + b1, 0)
    gate = 1 / (1 + np.exp(-(hidden @ w2 + b2)))
    np.testing.assert_allclose(model(x), x * gate[:, None, None], rtol=1e-4, atol=1e-6)
    assert w1.shape == (16, 4)
    read = keras.Model(model.input, model.get_layer("gate_gate").output)
    np.testing.assert_allclose(read(x)[:, 0, 0], gate, rtol=1e-4)


def test_the_hidden_layer_of_squeeze_excitation_keeps_a_unit():
    assert built(squeeze_excitation, 16, shape=(4, 4, 3)).count_params() == 3 + 1 + 3 + 3


@pytest.mark.parametrize(("kernel_size", "stride"), [(3, 1), (5, 2)])
def test_separable_conv_is_the_layer_of_keras(kernel_size, stride):
    model = built(separable_conv, 7, kernel_size, stride)
    theirs = layers.SeparableConv2D(7, kernel_size, strides=stride, padding="same", use_bias=False)
    x = images(2, 6, 5, 8)
    theirs(x)
    theirs.set_weights(model.get_weights())
    np.testing.assert_allclose(model(x), theirs(x), rtol=1e-4, atol=1e-5)
    assert model.count_params() == kernel_size**2 * 8 + 8 * 7


def test_inverted_residual_widens_filters_and_narrows():
    model = built(inverted_residual, 10, expansion=6, stride=2, name="b")
    weights = {w.path: w.shape for w in model.trainable_weights if len(w.shape) == 4}
    assert weights == {
        "b_expand/kernel": (1, 1, 8, 48),
        "b_depthwise/kernel": (3, 3, 48, 1),
        "b_project/kernel": (1, 1, 48, 10),
    }
    assert model.output_shape == (None, 3, 3, 10)
    thin = built(inverted_residual, 10, expansion=1)
    assert [layer.name for layer in thin.layers[1:3]] == ["block_depthwise", "block_depthwise_norm"]


def test_inverted_residual_adds_the_input_only_where_it_fits():
    def adds(**options):
        model = built(inverted_residual, **options)
        return any(isinstance(layer, layers.Add) for layer in model.layers)

    assert adds(filters=8)
    assert not adds(filters=9)
    assert not adds(filters=8, stride=2)


def test_inverted_residual_is_the_input_if_its_branch_is_zero():
    model = built(inverted_residual, 8)
    model.get_layer("block_project").set_weights([np.zeros((1, 1, 48, 8))])
    x = images(1, 6, 5, 8)
    np.testing.assert_allclose(model(x), x)


def test_only_the_linear_bottleneck_gives_negative_numbers():
    x = images(4, 6, 5, 8)
    assert np.min(built(inverted_residual, 5)(x)) < 0
    assert np.min(built(inverted_residual, 5, linear=False)(x)) == 0


def test_middle_activations_are_cut_at_six():
    model = built(inverted_residual, 5)
    kernel = model.get_layer("block_expand")
    kernel.set_weights([1e3 * kernel.get_weights()[0]])
    middle = keras.Model(model.input, model.get_layer("block_expand_relu").output)
    assert np.max(middle(images(1, 6, 5, 8))) == 6


def test_what_is_no_map_is_refused():
    vector = keras.Input((8,))
    for block in (squeeze_excitation, separable_conv, inverted_residual):
        filters = () if block is squeeze_excitation else (4,)
        with pytest.raises(ValueError, match=r"x must be a map \(batch, height, width, channels\)"):
            block(vector, *filters)
    image = keras.Input((8, 8, 4))
    with pytest.raises(ValueError, match=r"ratio must be an integer >= 1, got 0"):
        squeeze_excitation(image, 0)
    with pytest.raises(ValueError, match=r"kernel_size must be an integer >= 1, got 1.5"):
        separable_conv(image, 4, 1.5)
    with pytest.raises(ValueError, match=r"expansion must be an integer >= 1, got 0"):
        inverted_residual(image, 4, expansion=0)
