"""Dense blocks and DenseNet."""

import keras
import numpy as np
import pytest
from keras import layers
from network_checks import runs_both_ways, trained

from cvlab.networks.dense_networks import dense_block, densenet, transition

RNG = np.random.default_rng(0)


# Huang et al. 2017, table 2: millions of parameters, for 10 classes
@pytest.mark.parametrize(
    ("depth", "bottleneck", "exact", "millions"),
    [(40, False, 1_019_722, 1.0), (100, True, 769_162, 0.8)],
)
def test_published_parameters(depth, bottleneck, exact, millions):
    growth = 12
    model = densenet(depth, growth, bottleneck=bottleneck, compression=0.5 if bottleneck else 1.0)
    assert trained(model) == exact == closed_form(depth, growth, bottleneck)
    assert round(exact / 1e6, 1) == millions
    kernels = [w for w in model.trainable_weights if len(w.shape) > 1]
    assert len(kernels) == depth
    assert model.get_layer("block3_1_3x3").output.shape[1:3] == (8, 8)


def closed_form(depth, k, bottleneck):
    """Count what section 3 describes, step by step."""
    channels = 2 * k if bottleneck else 16
    total = 27 * channels
    for block in range(3):
        for _ in range((depth - 4) // (6 if bottleneck else 3)):
            if bottleneck:
                total += 2 * channels + channels * 4 * k + 2 * 4 * k + 9 * 4 * k * k
            else:
                total += 2 * channels + 9 * channels * k
            channels += k
        if block < 2:
            kept = channels // 2 if bottleneck else channels
            total += 2 * channels + channels * kept
            channels = kept
    return total + 2 * channels + channels * 10 + 10


def test_every_layer_of_a_block_reads_all_maps_before_it():
    image = keras.Input((5, 6, 4))
    model = keras.Model(image, dense_block(image, count=3, growth=2, name="d"))
    read = [model.get_layer(f"d_{step}_3x3").kernel.shape[2] for step in (1, 2, 3)]
    assert read == [4, 6, 8]
    x = RNG.normal(size=(2, 5, 6, 4)).astype("float32")
    y = model(x).numpy()
    np.testing.assert_array_equal(y[..., :4], x)  # the input is handed on
    first = keras.Model(image, model.get_layer("d_1_out").output)(x).numpy()
    np.testing.assert_array_equal(y[..., :6], first)  # and so is each layer's output


def test_a_layer_normalizes_then_activates_then_convolves():
    image = keras.Input((5, 6, 4))
    model = keras.Model(image, dense_block(image, 1, growth=2, bottleneck=True, name="d"))
    order = [type(layer) for layer in model.layers[1:]]
    assert order == [layers.BatchNormalization, layers.ReLU, layers.Conv2D] * 2 + [
        layers.Concatenate
    ]
    assert model.get_layer("d_1_1x1").filters == 8


def test_a_transition_averages_and_keeps_a_fraction():
    image = keras.Input((7, 6, 5))
    model = keras.Model(image, transition(image, 0.5))
    assert model.output_shape == (None, 3, 3, 2)
    x = np.abs(RNG.normal(size=(1, 7, 6, 5))).astype("float32")
    kernel = model.get_layer("transition_1x1").kernel.numpy()[0, 0]
    mixed = x / np.sqrt(1 + 1e-3) @ kernel
    means = mixed[:, :6].reshape(1, 3, 2, 3, 2, 2).mean(axis=(2, 4))
    np.testing.assert_allclose(model(x), means, rtol=1e-4, atol=1e-6)


def test_it_runs_on_other_sizes():
    runs_both_ways(densenet(10, 4, (4, 5, 1), classes=3), (4, 5))
    anything = densenet(10, 4, (None, None, 3), bottleneck=True, compression=0.5)
    runs_both_ways(anything, (9, 14))


def test_what_it_cannot_be():
    with pytest.raises(ValueError, match=r"depth must be 3 n \+ 4 .* without bottlenecks, got 41"):
        densenet(41)
    with pytest.raises(ValueError, match=r"depth must be 6 n \+ 4 .* with bottlenecks, got 13"):
        densenet(13, bottleneck=True)
    with pytest.raises(ValueError, match=r"depth must be 3 n \+ 4 with n >= 1 .* got 4"):
        densenet(4)
    with pytest.raises(ValueError, match=r"width must be at least 4, got 3: two transitions"):
        densenet(10, input_shape=(32, 3, 3))
    image = keras.Input((8, 8, 3))
    with pytest.raises(ValueError, match=r"compression must be a number in \(0, 1\] .* got 1.5"):
        transition(image, 1.5)
    with pytest.raises(ValueError, match=r"at least 1 of 3 channels, got 0.1"):
        transition(image, 0.1)
    for build in (lambda: transition(image, "a"), lambda: densenet(compression="a")):
        with pytest.raises(ValueError, match=r"compression must be a number in .* got 'a'"):
            build()
    with pytest.raises(ValueError, match=r"classes must be an integer >= 1, got 0"):
        densenet(classes=0)
    with pytest.raises(ValueError, match=r"growth must be an integer >= 1, got 0"):
        dense_block(image, 2, growth=0)
    with pytest.raises(ValueError, match=r"x must be a map"):
        dense_block(keras.Input((8,)), 2)
