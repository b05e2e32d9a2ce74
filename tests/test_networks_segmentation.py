"""The encoder-decoder and the U-Net: shapes, parameters, what passes by way of the skips."""

import itertools

import keras
import numpy as np
import pytest
from keras import layers

from cvlab.networks.segmentation import DOWNSAMPLING, UPSAMPLING, encoder_decoder, u_net

RNG = np.random.default_rng(0)


def shapes(model):
    return {layer.name: layer.output.shape[1:] for layer in model.layers}


def test_the_encoder_decoder_of_the_lecture():
    """Claim C46: 200x200x3 to 25x25x256 and back, over 100x100x64 and 50x50x128."""
    model = encoder_decoder()
    assert model.input.shape[1:] == (200, 200, 3)
    path = [layer.output.shape[1:] for layer in model.layers[1:]]
    up = [(25, 25, 256), (50, 50, 256), (50, 50, 128), (100, 100, 128), (100, 100, 64)]
    down = [(100, 100, 64)] * 2 + [(50, 50, 128)] * 2 + [(25, 25, 256)] * 2
    assert path == [*down, *up, (200, 200, 64), (200, 200, 3)]
    kinds = [layers.Conv2D] * 6 + [layers.Conv2DTranspose] * 6 + [layers.Conv2D]
    assert [type(layer) for layer in model.layers[1:]] == kinds
    assert [layer.strides[0] for layer in model.layers[1:]] == [2, 1] * 3 + [1, 2] * 3 + [1]
    assert all(layer.kernel_size == (3, 3) for layer in model.layers[1:])
    assert {layer.activation for layer in model.layers[1:-1]} == {keras.activations.relu}
    assert model.get_layer("middle").output.shape == (None, 25, 25, 256)
    assert model.count_params() == 2_880_643


def test_the_probabilities_of_a_pixel_add_up_to_one():
    keras.utils.set_random_seed(0)
    image = RNG.random((2, 16, 24, 3)).astype(np.float32)
    for model in (
        encoder_decoder((16, 24, 3), 4, filters=(4, 6)),
        u_net((16, 24, 3), 4, depth=2, filters=4),
    ):
        output = np.array(model(image))
        assert output.shape == (2, 16, 24, 4)
        np.testing.assert_allclose(output.sum(axis=-1), 1, rtol=1e-5)
        assert np.ptp(output) > 1e-4


def test_shapes_of_the_u_net():
    found = shapes(u_net((48, 32, 3), 5, depth=3, filters=4))
    for level, (height, width, count) in enumerate([(48, 32, 4), (24, 16, 8), (12, 8, 16)], 1):
        for part in ("encoder", "up", "decoder"):
            assert found[f"{part}_{level}"] == (height, width, count)
        assert found[f"down_{level}"] == (height // 2, width // 2, count)
        assert found[f"skip_{level}"] == (height, width, 2 * count)
    assert found["middle"] == (6, 4, 32)
    assert found["classes"] == (48, 32, 5)


def parameters(depth, filters, classes, skips, stride, channels=3):
    """Return the number of parameters by formula."""
    total, before = 0, channels
    counts = [filters * 2**level for level in range(depth + 1)]
    for count in counts:  # the encoder and the middle
        total += 9 * (before + count) * count + 2 * count
        before = count
    for count in counts[:-1]:
        total += stride * (9 * count * count + count)
        total += 9 * 2 * count * count + count  # up
        total += 9 * ((1 + skips) * count + count) * count + 2 * count
    return total + filters * classes + classes


@pytest.mark.parametrize(
    ("skips", "upsampling", "downsampling"),
    [*itertools.product((True, False), UPSAMPLING, DOWNSAMPLING)],
)
def test_each_part_can_be_exchanged_alone(skips, upsampling, downsampling):
    options = {"skips": skips, "upsampling": upsampling, "downsampling": downsampling}
    model = u_net((16, 16, 3), 3, depth=2, filters=4, **options)
    expected = parameters(2, 4, 3, skips, stride=downsampling == "stride")
    assert model.count_params() == expected
    found = [type(layer) for layer in model.layers]
    transposed = upsampling == "transposed"
    assert found.count(layers.Conv2DTranspose) == 2 * transposed
    assert found.count(layers.UpSampling2D) == 2 * (not transposed)
    assert found.count(layers.MaxPooling2D) == 2 * (downsampling == "max_pool")
    assert found.count(layers.Concatenate) == 2 * skips
    normalized = u_net((16, 16, 3), 3, depth=2, filters=4, batch_norm=True, **options)
    places = [name for name in shapes(model) if not name.startswith(("image", "resize"))]
    assert [shapes(normalized)[name] for name in places] == [shapes(model)[name] for name in places]
    trained = sum(int(np.prod(w.shape)) for w in normalized.trainable_weights)
    with_bias = sum(layer.filters for layer in model.layers if hasattr(layer, "filters")) - 3
    assert trained == expected + with_bias  # a scale and a shift in place of a bias


@pytest.mark.parametrize("skips", [True, False])
def test_skips_carry_what_the_middle_does_not(skips):
    keras.utils.set_random_seed(0)
    model = u_net((16, 16, 1), 2, depth=2, filters=4, skips=skips)
    middle = model.get_layer("middle")
    middle.set_weights([0 * weight for weight in middle.get_weights()])  # nothing passes
    first, second = np.array(model(RNG.random((2, 16, 16, 1)).astype(np.float32)))
    assert (np.abs(first - second).max() > 1e-4) == skips


def test_transposed_convolution_makes_a_checkerboard_and_resizing_does_not():
    def pattern(upsampling):
        model = u_net((32, 32, 1), 2, depth=1, filters=4, upsampling=upsampling)
        up = model.get_layer("up_1")
        up.set_weights([np.ones_like(up.get_weights()[0]), up.get_weights()[1]])
        flat = np.ones((1, 16, 16, 8), np.float32)
        x = flat if upsampling == "transposed" else model.get_layer("resize_1")(flat)
        return np.array(up(x))[0, 4:-4, 4:-4, 0]

    assert np.ptp(pattern("resize")) == 0
    uneven = pattern("transposed")
    assert set(np.unique(uneven)) == {8, 16, 32}  # one, two or four kernels meet
    np.testing.assert_array_equal(uneven[::2, ::2], uneven[0, 0])


def test_an_open_size_takes_every_multiple():
    model = u_net((None, None, 3), 2, depth=2, filters=2)
    assert model(np.zeros((1, 12, 20, 3), np.float32)).shape == (1, 12, 20, 2)
    assert encoder_decoder((None, 16, 3)).output.shape == (None, None, 16, 3)


def test_errors():
    message = "height must be a multiple of 8 for 3 steps down and up again, got 100"
    with pytest.raises(ValueError, match=message):
        encoder_decoder((100, 200, 3))
    with pytest.raises(ValueError, match=r"width must be a multiple of 4 for 2 steps.*, got 30"):
        u_net((32, 30, 3), 2, depth=2)
    for wrong in ((32, 32), 32):
        with pytest.raises(ValueError, match=r"input_shape must be \(height, width, channels\)"):
            u_net(wrong, 2)
    for i, shape in enumerate([(0, 32, 3), (32, 1.5, 3), (32, 32, None)]):
        with pytest.raises(ValueError, match=rf"input_shape\[{i}\] must be an integer >= 1"):
            u_net(shape, 2)
    with pytest.raises(ValueError, match="number_of_classes must be an integer >= 2, got 1"):
        u_net((32, 32, 3), 1)
    with pytest.raises(ValueError, match="number_of_classes must be an integer >= 2, got 1"):
        encoder_decoder(number_of_classes=1)
    for wrong in ((), 64):
        with pytest.raises(ValueError, match="filters must hold at least one number, got "):
            encoder_decoder(filters=wrong)
    with pytest.raises(ValueError, match=r"filters\[1\] must be an integer >= 1, got 0"):
        encoder_decoder(filters=(4, 0))
    for name in ("depth", "filters"):
        with pytest.raises(ValueError, match=f"{name} must be an integer >= 1, got 0"):
            u_net((32, 32, 3), 2, **{name: 0})
    message = r"upsampling must be one of \('transposed', 'resize'\), got 'bilinear'"
    with pytest.raises(ValueError, match=message):
        u_net((32, 32, 3), 2, upsampling="bilinear")
    message = r"downsampling must be one of \('max_pool', 'stride'\), got 'average'"
    with pytest.raises(ValueError, match=message):
        u_net((32, 32, 3), 2, downsampling="average")
