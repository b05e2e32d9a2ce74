"""Residual units against a NumPy reference, their start, their names and their errors."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from cvlab.convolution import conv2d, depthwise_conv2d
from cvlab.networks.residual_units import ZeroChannels, residual_unit, shortcut_path
from cvlab.networks.stochastic_depth import StochasticDepth

CHANNELS = 6


def built(width=6, channels=CHANNELS, seed=0, **options):
    """Return a model of one unit whose normalizations have statistics that are not 0 and 1."""
    keras.utils.set_random_seed(seed)
    image = keras.Input((7, 8, channels))
    model = keras.Model(image, residual_unit(image, width, **options))
    rng = np.random.default_rng(seed)
    for variable in model.variables:
        if variable.name in ("gamma", "moving_variance"):
            variable.assign(rng.uniform(0.5, 2, variable.shape))
        elif variable.name in ("beta", "moving_mean", "bias"):
            variable.assign(rng.normal(size=variable.shape))
    return model


def maps(channels=CHANNELS):
    return np.random.default_rng(9).normal(size=(2, 7, 8, channels)).astype("float32")


def relu(x):
    return np.maximum(x, 0)


def weights(model, name):
    return [w.numpy().astype(float) for w in model.get_layer(name).weights]


def reference(model, x, kinds, stride, shortcut, preactivation, normalize, separable):
    """Compute the unit with NumPy, from the weights of the model."""

    def norm(x, name):
        if not normalize:
            return x
        gamma, beta, mean, variance = weights(model, name)
        return gamma * (x - mean) / np.sqrt(variance + 1e-5) + beta

    def conv(x, name, kernel, stride):
        if separable and kernel > 1:
            depthwise, pointwise, *bias = weights(model, name)
            x = depthwise_conv2d(x, depthwise, stride=stride, padding="same")
            return conv2d(x, pointwise) + (bias[0] if bias else 0)
        kernel, *bias = weights(model, name)
        return conv2d(x, kernel, stride=stride, padding="same") + (bias[0] if bias else 0)

    x = x.astype(float)
    y = source = x
    for number, kernel in enumerate(kinds, start=1):
        step = stride if number == 1 else 1
        if preactivation:
            y = relu(norm(y, f"unit_norm{number}"))
            source = y if number == 1 else source
            y = conv(y, f"unit_conv{number}", kernel, step)
        else:
            y = norm(conv(y, f"unit_conv{number}", kernel, step), f"unit_norm{number}")
            y = relu(y) if number < len(kinds) else y
    if shortcut == "identity":
        y = x + y
    elif shortcut == "projection":
        skip = conv(source, "unit_shortcut_conv", 1, stride)
        y = y + (skip if preactivation else norm(skip, "unit_shortcut_norm"))
    elif shortcut == "zero_pad":
        extra = y.shape[-1] - x.shape[-1]
        y = y + np.pad(x[:, ::stride, ::stride], [(0, 0)] * 3 + [(0, extra)])
    return y if preactivation else relu(y)


KERNELS = {"basic": (3, 3), "bottleneck": (1, 3, 1)}
SHAPES = {  # shortcut: channels of the input, stride
    "identity": (24, 1), "projection": (5, 2), "zero_pad": (5, 2), None: (5, 2),
}  # fmt: skip


@pytest.mark.parametrize("shortcut", SHAPES)
@pytest.mark.parametrize("kind", KERNELS)
@pytest.mark.parametrize("preactivation", [False, True])
def test_a_unit_computes_what_the_formula_says(kind, preactivation, shortcut):
    channels, stride = SHAPES[shortcut]
    options = dict(stride=stride, shortcut=shortcut, preactivation=preactivation)
    model = built(6 if kind == "bottleneck" else 24, channels, kind=kind, **options)
    expected = reference(
        model, maps(channels), KERNELS[kind], **options, normalize=True, separable=False
    )
    np.testing.assert_allclose(model(maps(channels)), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("normalize", "separable"), [(False, False), (True, True), (False, True)])
@pytest.mark.parametrize("preactivation", [False, True])
def test_units_without_normalization_and_with_separable_convolutions(
    preactivation, normalize, separable
):
    options = dict(preactivation=preactivation, normalize=normalize, separable=separable)
    model = built(9, stride=2, shortcut="projection", **options)
    expected = reference(model, maps(), (3, 3), 2, "projection", **options)
    np.testing.assert_allclose(model(maps()), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("width", "stride", "projected"), [(6, 1, False), (6, 2, True), (7, 1, True)]
)
def test_auto_projects_only_where_the_shapes_differ(width, stride, projected):
    names = {layer.name for layer in built(width, stride=stride).layers}
    assert ("unit_shortcut_conv" in names) == projected


def test_a_projection_on_request_is_learned_even_where_the_shapes_agree():
    assert built(6, shortcut="projection").get_layer("unit_shortcut_conv").kernel.shape == (
        1, 1, 6, 6,
    )  # fmt: skip


def test_a_bottleneck_projects_to_four_times_its_width():
    model = built(6, kind="bottleneck")
    assert model.output_shape == (None, 7, 8, 24)
    assert model.get_layer("unit_shortcut_conv").strides == (1, 1)


@pytest.mark.parametrize("kind", KERNELS)
@pytest.mark.parametrize(
    ("preactivation", "normalize"), list(itertools.product([False, True], [False, True]))
)
def test_a_zero_branch_makes_the_unit_the_identity(kind, preactivation, normalize):
    width = CHANNELS if kind == "basic" else 6
    channels = width * (1 if kind == "basic" else 4)
    image = keras.Input((7, 8, channels))
    options = dict(kind=kind, preactivation=preactivation, normalize=normalize)
    x = maps(channels)
    expected = x if preactivation else relu(x)
    unit = keras.Model(image, residual_unit(image, width, zero_init=True, **options))
    np.testing.assert_allclose(unit(x, training=True), expected, atol=1e-6)
    unit = keras.Model(image, residual_unit(image, width, **options))
    assert np.abs(unit(x, training=True) - expected).max() > 0.1


@pytest.mark.parametrize("preactivation", [False, True])
def test_a_zero_branch_still_learns(preactivation):
    image = keras.Input((7, 8, CHANNELS))
    output = residual_unit(image, CHANNELS, zero_init=True, preactivation=preactivation)
    model = keras.Model(image, output)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(maps(), training=True) * maps() ** 2)
    last = (
        model.get_layer("unit_conv2").kernel
        if preactivation
        else model.get_layer("unit_norm2").gamma
    )
    assert np.abs(tape.gradient(loss, last.value)).max() > 1e-2


def test_separable_depthwise_kernels_keep_the_variance():
    """He's rule would count all 64 channels as inputs of a filter that reads one."""
    image = keras.Input((7, 8, 64))
    model = keras.Model(image, residual_unit(image, 64, separable=True))
    kernel = model.get_layer("unit_conv1").depthwise_kernel.numpy()
    assert kernel.std() == pytest.approx(1 / 3, rel=0.1)


def test_a_plain_unit_has_no_addition_and_the_same_branch():
    residual, plain = built(), built(shortcut=None)
    assert [type(layer).__name__ for layer in plain.layers].count("Add") == 0
    assert [type(layer).__name__ for layer in residual.layers].count("Add") == 1
    assert plain.count_params() == residual.count_params()


@pytest.mark.parametrize("options", [{}, {"preactivation": True}, {"shortcut": None}])
def test_the_last_layer_has_the_name_of_the_unit(options):
    image = keras.Input((7, 8, CHANNELS))
    output = residual_unit(image, CHANNELS, name="block", **options)
    assert keras.Model(image, output).layers[-1].name == "block"


def test_a_unit_with_stochastic_depth_is_its_shortcut_when_the_branch_is_dropped():
    dropped, kept = built(survival=0.0), built()
    np.testing.assert_allclose(dropped(maps(), training=True), relu(maps()))
    half = built(survival=0.5)
    x = relu(maps())
    branch = keras.Model(kept.input, kept.get_layer("unit_norm2").output)(x)
    np.testing.assert_allclose(half(x), relu(x + 0.5 * branch), rtol=1e-4, atol=1e-5)


def test_zero_padding_keeps_every_second_pixel_and_appends_channels():
    image = keras.Input((7, 8, 3))
    path = keras.Model(image, shortcut_path(image, 5, 2, "zero_pad"))
    assert path.count_params() == 0
    result = path(maps(3)).numpy()
    np.testing.assert_array_equal(result[..., :3], maps(3)[:, ::2, ::2])
    np.testing.assert_array_equal(result[..., 3:], 0)


def test_a_model_is_saved_and_loaded_with_its_own_layers(tmp_path):
    model = built(9, stride=2, shortcut="zero_pad", survival=0.7)
    model.save(tmp_path / "unit.keras")
    loaded = keras.models.load_model(tmp_path / "unit.keras")
    assert [layer.survival for layer in loaded.layers if isinstance(layer, StochasticDepth)] == [
        0.7
    ]
    np.testing.assert_array_equal(loaded(maps()), model(maps()))


ERRORS = [
    (dict(width=0), "width must be an integer >= 1, got 0"),
    (dict(width=6, stride=0), "stride must be an integer >= 1, got 0"),
    (dict(width=6, kind="wide"), "kind must be one of basic, bottleneck, got 'wide'"),
    (dict(width=6, shortcut="skip"), r"shortcut must be one of .*'zero_pad', None\), got 'skip'"),
    (dict(width=6, survival=1.5), "survival must be a probability, 0 to 1, got 1.5"),
    (
        dict(width=6, survival=0.5, shortcut=None),
        "survival must be 1 without a shortcut, got 0.5: nothing would be left",
    ),
    (dict(width=4, kind=["basic"]), r"kind must be one of basic, bottleneck, got \['basic'\]"),
    (
        dict(width=9, shortcut="identity", name="stage2_unit1"),
        r'shortcut "identity" of unit \'stage2_unit1\' gives \(7, 8, 6\), which cannot be added to '
        r'\(7, 8, 9\): take "projection", a 1 x 1 convolution with 9 filters$',
    ),
    (
        dict(width=6, shortcut="identity", stride=2),
        r"\(7, 8, 6\), which cannot be added to \(4, 4, 6\): .* with 6 filters and stride 2$",
    ),
    (
        dict(width=6, kind="bottleneck", shortcut="identity"),
        r"cannot be added to \(7, 8, 24\): .* with 24 filters$",
    ),
    (
        dict(width=4, shortcut="zero_pad"),
        'can only append channels, got 6 where 4 are needed: take "projection"',
    ),
]


@pytest.mark.parametrize(("options", "message"), ERRORS)
def test_errors_name_what_is_wrong_and_which_projection_is_missing(options, message):
    with pytest.raises(ValueError, match=message):
        residual_unit(keras.Input((7, 8, CHANNELS)), **options)


SHORTCUT_ERRORS = [
    ((6, 1, "skip"), 'kind must be "identity", "projection" or "zero_pad", got \'skip\''),
    ((0, 1, "projection"), "filters must be an integer >= 1, got 0"),
    ((6, 0, "zero_pad"), "stride must be an integer >= 1, got 0"),
]


@pytest.mark.parametrize(("arguments", "message"), SHORTCUT_ERRORS)
def test_errors_of_the_shortcut(arguments, message):
    with pytest.raises(ValueError, match=message):
        shortcut_path(keras.Input((7, 8, CHANNELS)), *arguments)


def test_a_list_is_no_map():
    with pytest.raises(ValueError, match=r"x must be a map .* with known channels, got list"):
        residual_unit([1.0, 2.0], 4)


def test_identity_with_a_stride_is_refused_on_maps_of_open_size():
    with pytest.raises(ValueError, match=r"which cannot be added .* with 6 filters and stride 2$"):
        residual_unit(keras.Input((None, None, 6)), 6, shortcut="identity", stride=2)
    free = residual_unit(keras.Input((None, None, 6)), 6, shortcut="projection", stride=2)
    assert free.shape == (None, None, None, 6)


def test_what_is_no_map_is_refused():
    with pytest.raises(ValueError, match=r"x must be a map .* got \(None, 5\)"):
        residual_unit(keras.Input((5,)), 6)
    with pytest.raises(ValueError, match="count must be an integer >= 1, got 0"):
        ZeroChannels(0)
