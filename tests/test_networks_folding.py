"""Folding whole models: what is folded, what must not be, and that the rest stays as it was."""

import keras
import numpy as np
import pytest
from keras import layers

from cvlab.data import photograph
from cvlab.networks import crop_and_resize, efficientnet_lite0, preprocess_input
from cvlab.networks.folding import fold_batch_norms
from cvlab.networks.graph import walk

SHAPE = (8, 9, 4)


def normalization(**options):
    return layers.BatchNormalization(epsilon=0.01, **options)


def shaken(model, seed=0):
    """Give every normalization statistics that are not 0 and 1, and every bias a value."""
    rng = np.random.default_rng(seed)
    for variable in model.variables:
        if variable.name in ("moving_variance", "gamma"):
            values = rng.uniform(0.5, 3, variable.shape)
        elif variable.name in ("moving_mean", "beta", "bias"):
            values = rng.standard_normal(variable.shape)
        else:
            continue
        if variable.name == "gamma":
            values[::3] *= -1
        variable.assign(values)
    return model


def check(model, removed, left=0):
    """Fold a shaken `model` and compare; return the folded one."""
    shaken(model)
    before = [np.array(w) for w in model.get_weights()]
    structure = [(node.name, node.sources) for node in walk(model)]
    folded, count = fold_batch_norms(model)
    remaining = {id(n.layer) for n in walk(folded) if type(n.layer) is layers.BatchNormalization}
    assert (count, len(remaining)) == (removed, left)
    rng = np.random.default_rng(1)
    x = [rng.standard_normal((3, *t.shape[1:])).astype(np.float32) for t in model.inputs]
    x = x if len(x) > 1 else x[0]
    expected, ours = model(x, training=False), folded(x, training=False)
    keras.tree.assert_same_structure(expected, ours)
    pairs = zip(keras.tree.flatten(expected), keras.tree.flatten(ours), strict=True)
    for wanted, got in pairs:
        scale = np.abs(wanted).max()
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5 * scale)
    assert [(node.name, node.sources) for node in walk(model)] == structure
    for old, now in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, now)
    return folded


LINEAR = {
    "dense": lambda bias: layers.Dense(5, use_bias=bias),
    "conv": lambda bias: layers.Conv2D(6, 3, strides=2, padding="same", use_bias=bias),
    "groups": lambda bias: layers.Conv2D(6, 3, groups=2, dilation_rate=2, use_bias=bias),
    "depthwise": lambda bias: layers.DepthwiseConv2D(
        3, padding="same", depth_multiplier=3, use_bias=bias
    ),
    "separable": lambda bias: layers.SeparableConv2D(5, 3, depth_multiplier=2, use_bias=bias),
    "transposed": lambda bias: layers.Conv2DTranspose(5, 3, strides=2, use_bias=bias),
}


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("name", LINEAR)
def test_every_linear_layer_takes_in_its_normalization(name, bias):
    model = keras.Sequential(
        [keras.Input(SHAPE), LINEAR[name](bias), normalization(), layers.ReLU(name="relu")]
    )
    folded = check(model, removed=1)
    assert [layer.name for layer in folded.layers[1:]] == [model.layers[0].name, "relu"]
    assert folded.layers[1].use_bias


def test_other_ranks():
    model = [keras.Input((9, 4)), layers.Conv1D(3, 3, use_bias=False), normalization()]
    model += [layers.Conv1DTranspose(5, 3), normalization()]
    check(keras.Sequential([*model, layers.DepthwiseConv1D(2), normalization()]), removed=3)
    model = [keras.Input((5, 5, 5, 2)), layers.Conv3D(3, 2), normalization()]
    check(keras.Sequential([*model, layers.Conv3DTranspose(2, 2), normalization()]), removed=2)
    model = [keras.Input((7,)), layers.Dense(6), normalization(scale=False), layers.ReLU()]
    check(keras.Sequential([*model, layers.Dense(3), normalization(center=False)]), removed=2)


def test_two_normalizations_in_a_row_are_both_folded():
    both = [normalization(), normalization()]
    check(keras.Sequential([keras.Input(SHAPE), layers.Conv2D(3, 2), *both]), removed=2)


def test_a_normalization_without_a_linear_layer_before_it_stays():
    between = [layers.MaxPooling2D(2), normalization(), layers.Conv2D(3, 1), layers.ReLU()]
    model = keras.Sequential([keras.Input(SHAPE), layers.ReLU(), *between, normalization()])
    check(model, removed=1, left=1)  # the 1 x 1 convolution takes in the one before it


SILENT = {
    "dropout": lambda: layers.Dropout(0.5),
    "spatial dropout": lambda: layers.SpatialDropout2D(0.5),
    "noise": lambda: layers.GaussianNoise(1.0),
    "noisy dropout": lambda: layers.GaussianDropout(0.5),
    "identity": layers.Identity,
    "linear": lambda: layers.Activation("linear"),
    "mean": layers.GlobalAveragePooling2D,
}


@pytest.mark.parametrize("name", SILENT)
def test_layers_that_keep_scale_and_shift_do_not_stand_in_the_way(name):
    image, silent = keras.Input(SHAPE), SILENT[name]
    features = layers.Identity()(silent()(layers.Conv2D(6, 3, padding="same")(image)))
    folded = check(keras.Model(image, layers.ReLU()(normalization()(features))), removed=1)
    assert len(folded.layers) == 5
    x = layers.Dense(3, activation="relu")(silent()(normalization()(layers.ReLU()(image))))
    check(keras.Model(image, x), removed=1)


def test_what_is_dropped_at_inference_or_read_twice_stands_in_the_way():
    image = keras.Input(SHAPE)
    always = layers.Dropout(0.5, seed=1)(layers.Conv2D(6, 3)(image), training=True)
    assert fold_batch_norms(keras.Model(image, normalization()(always))).removed == 0
    dropped = layers.Dropout(0.5)(layers.Conv2D(6, 3)(image))
    check(keras.Model(image, layers.Add()([normalization()(dropped), dropped])), removed=0, left=1)
    features = layers.Conv2D(6, 3)(image)
    dropped = normalization()(layers.Dropout(0.5)(features))
    check(keras.Model(image, [features, dropped]), removed=0, left=1)


FOLLOWING = {
    "dense": lambda: layers.Dense(5, activation="softmax"),
    "valid": lambda: layers.Conv2D(5, 3, strides=2, activation="relu", use_bias=False),
    "dilated": lambda: layers.Conv2D(5, 3, dilation_rate=2),
    "1 x 1": lambda: layers.Conv2D(5, 1, strides=2, padding="same"),
    "flat": lambda: keras.Sequential([layers.Flatten(), layers.Dense(3, "relu")]),
}


@pytest.mark.parametrize("name", FOLLOWING)
def test_a_linear_layer_without_zeros_takes_in_the_normalization_before_it(name):
    following = FOLLOWING[name]()
    parts = following.layers if name == "flat" else [following]
    head = [keras.Input(SHAPE), layers.ReLU(), normalization(), layers.Dropout(0.3)]
    check(keras.Sequential([*head, *parts]), removed=1)
    image = keras.Input(SHAPE)  # something else may read what is normalized
    following = FOLLOWING[name]()
    parts = following.layers if name == "flat" else [following]
    x = normalization()(image)
    for layer in parts:
        x = layer(x)
    check(keras.Model(image, [layers.ReLU()(image), x]), removed=1)


STAYING = {
    "zeros": lambda: layers.Conv2D(5, 3, padding="same"),
    "groups": lambda: layers.Conv2D(6, 3, groups=2),
    "depthwise": lambda: layers.DepthwiseConv2D(3),
    "separable": lambda: layers.SeparableConv2D(5, 3),
    "transposed": lambda: layers.Conv2DTranspose(5, 3),
    "activation": lambda: layers.ReLU(),
}


@pytest.mark.parametrize("name", STAYING)
def test_the_normalization_before_other_layers_stays(name):
    model = [keras.Input(SHAPE), normalization(), STAYING[name](), layers.ReLU(), layers.Dense(2)]
    check(keras.Sequential(model), removed=0, left=1)


def test_a_normalization_that_is_read_twice_or_whose_reader_is_shared_stays():
    image = keras.Input(SHAPE)
    norm = normalization()(image)
    check(keras.Model(image, [layers.Dense(2)(norm), norm]), removed=0, left=1)
    norm = normalization()(image)
    check(keras.Model(image, layers.Add()([layers.Dense(4)(norm), norm])), removed=0, left=1)
    shared = layers.Dense(4)
    check(keras.Model(image, shared(layers.ReLU()(shared(normalization()(image))))), 0, left=1)
    shared = normalization()
    check(keras.Model(image, layers.Dense(2)(shared(layers.ReLU()(shared(image))))), 0, left=1)


def test_one_layer_takes_in_normalizations_on_both_sides():
    around = [normalization(), normalization(), layers.Conv2D(5, 2), normalization()]
    folded = check(keras.Sequential([keras.Input(SHAPE), *around, normalization()]), removed=4)
    assert len(folded.layers) == 2
    image = keras.Input(SHAPE)
    channels_first = layers.Flatten(data_format="channels_first")(normalization()(image))
    check(keras.Model(image, layers.Dense(3)(channels_first)), removed=0, left=1)


def test_an_activation_in_the_convolution_keeps_the_normalization():
    model = keras.Sequential(
        [
            keras.Input(SHAPE),
            layers.Conv2D(3, 2, activation="relu"),
            normalization(),
            layers.Conv2D(3, 2, padding="same", activation="linear"),
            normalization(),
        ]
    )
    check(model, removed=1, left=1)


def test_a_convolution_that_is_read_twice_keeps_its_normalization():
    image = keras.Input(SHAPE)
    read_twice = layers.Conv2D(4, 3, padding="same")(image)
    total = layers.Add()([normalization()(read_twice), read_twice])
    check(keras.Model(image, total), removed=0, left=1)
    read_by_two = layers.Conv2D(4, 3)(image)
    outputs = [normalization()(read_by_two), normalization()(read_by_two)]
    check(keras.Model(image, outputs), removed=0, left=2)
    same_reader = layers.Conv2D(4, 3)(image)
    norm = normalization()(same_reader)
    check(keras.Model(image, layers.Multiply()([norm, norm])), removed=1)


def test_a_convolution_that_is_an_output_keeps_its_normalization():
    image = keras.Input(SHAPE)
    features = layers.Conv2D(4, 3)(image)
    model = keras.Model(image, {"raw": features, "normalized": normalization()(features)})
    check(model, removed=0, left=1)
    model = keras.Model(image, {"normalized": normalization()(layers.Conv2D(4, 3)(image))})
    assert set(check(model, removed=1)(np.zeros((1, *SHAPE)))) == {"normalized"}


def test_shared_layers_keep_their_normalization():
    image = keras.Input(SHAPE)
    conv, norm = layers.Conv2D(4, 3, padding="same"), normalization()
    twice = norm(conv(norm(conv(image))))
    check(keras.Model(image, twice), removed=0, left=1)
    conv, norms = layers.Conv2D(4, 3, padding="same"), [normalization(), normalization()]
    check(keras.Model(image, norms[1](conv(norms[0](conv(image))))), removed=0, left=2)
    convs, norm = [layers.Conv2D(4, 3), layers.Conv2D(4, 3)], normalization()
    check(keras.Model(image, [norm(conv(image)) for conv in convs]), removed=0, left=1)


def test_a_normalization_of_another_axis_stays():
    image = keras.Input(SHAPE)
    check(keras.Model(image, layers.Dense(3)(normalization(axis=1)(image))), removed=0, left=1)
    model = keras.Model(image, normalization(axis=1)(layers.Conv2D(4, 3)(image)))
    check(model, removed=0, left=1)
    model = keras.Model(image, normalization(axis=3)(layers.Conv2D(4, 3)(image)))
    check(model, removed=1)


def test_batch_statistics_at_inference_cannot_be_folded():
    image = keras.Input(SHAPE)
    features = layers.Conv2D(4, 3)(image)
    check(keras.Model(image, normalization()(features, training=True)), removed=0, left=1)
    features = layers.Conv2D(4, 3)(image)
    check(keras.Model(image, normalization()(features, training=False)), removed=1)


def test_a_subclass_may_do_something_else_and_stays():
    @keras.saving.register_keras_serializable("cvlab-tests")
    class Doubled(layers.BatchNormalization):
        def call(self, inputs, training=None, mask=None):
            return 2 * super().call(inputs, training, mask)

    model = keras.Sequential([keras.Input(SHAPE), layers.Conv2D(4, 3), Doubled()])
    folded, removed = fold_batch_norms(model)
    assert removed == 0
    x = np.ones((1, *SHAPE), np.float32)
    np.testing.assert_allclose(folded(x), model(x), rtol=1e-6)


def block(name):
    inner = keras.Input(SHAPE)
    x = layers.Conv2D(4, 3, padding="same", use_bias=False)(inner)
    return keras.Model(inner, layers.ReLU()(normalization()(x)), name=name)


def test_models_inside_models_are_folded():
    image = keras.Input(SHAPE)
    stem = keras.Sequential([keras.Input(SHAPE), layers.Conv2D(4, 1), normalization()], name="stem")
    deep = keras.Sequential(
        [keras.Input(SHAPE), stem, block("inner"), normalization()], name="deep"
    )
    folded = check(keras.Model(image, layers.ReLU()(deep(image))), removed=2, left=1)
    assert folded.get_layer("deep").get_layer("stem").name == "stem"


def test_a_shared_model_is_folded_once_and_stays_shared():
    left, right = keras.Input(SHAPE), keras.Input(SHAPE)
    twin = block("twin")
    model = keras.Model([left, right], layers.Concatenate()([twin(left), twin(twin(right))]))
    assert check(model, removed=1).count_params() == 9 * 4 * 4 + 4
    outer = keras.Sequential([keras.Input(SHAPE), twin, layers.Conv2D(2, 1)], name="outer")
    model = keras.Model([left, right], [twin(left), outer(right)])
    assert check(model, removed=1).count_params() == 9 * 4 * 4 + 4 + 4 * 2 + 2


def test_arithmetic_on_tensors_and_adapted_layers_are_kept():
    adapted = layers.Normalization(axis=-1)
    adapted.adapt(np.random.default_rng(0).normal(3, 2, (50, *SHAPE)))
    image = keras.Input(SHAPE)
    x = layers.Conv2D(4, 1)(adapted(image)) + 1.0
    x = keras.ops.relu(normalization()(layers.Conv2D(4, 1)(x)) * image)
    check(keras.Model(image, x), removed=1)


def test_an_unbuilt_or_subclassed_model_is_an_error():
    message = r"model must be a functional or a Sequential Keras model .*, got {}"
    with pytest.raises(ValueError, match=message.format("Sequential")):
        fold_batch_norms(keras.Sequential([layers.Conv2D(3, 3), normalization()]))

    class Custom(keras.Model):
        pass

    with pytest.raises(ValueError, match=message.format("Custom")):
        fold_batch_norms(Custom())


def test_a_trained_network_answers_the_same_on_real_photographs():
    model = efficientnet_lite0()
    folded, removed = fold_batch_norms(model)
    assert removed == 49
    channels = 42_016 // 2  # two moving statistics each: 4 values go, a bias comes
    assert model.count_params() - folded.count_params() == 4 * channels - channels
    images = [crop_and_resize(photograph(name)) for name in ("flower", "temple")]
    x = preprocess_input(np.concatenate(images))
    expected, ours = model.predict(x, verbose=0), folded.predict(x, verbose=0)
    np.testing.assert_allclose(ours, expected, atol=1e-5)
    assert expected.max() > 0.1


def test_a_normalization_after_the_activation_is_folded_exactly_on_real_photographs():
    """Into the next convolution if that adds no zeros; the last one into the dense layer."""
    image = keras.Input((64, 64, 3))
    x = image
    for padding in ("same", "valid", "same", "valid"):
        x = layers.Conv2D(8, 3, padding=padding, activation="relu")(x)
        x = layers.Dropout(0.2)(normalization()(x))
    x = layers.Dense(4, activation="softmax")(layers.GlobalAveragePooling2D()(x))
    model = shaken(keras.Model(image, x))
    folded, removed = fold_batch_norms(model)
    assert removed == 3  # all but the one before the second "same"
    photographs = [crop_and_resize(photograph(name)) for name in ("flower", "temple")]
    pixels = keras.ops.image.resize(np.concatenate(photographs) / 255, (64, 64))
    expected, ours = model.predict(pixels, verbose=0), folded.predict(pixels, verbose=0)
    np.testing.assert_allclose(ours, expected, atol=1e-5)


def test_a_model_that_is_called_in_training_mode_stays_as_it_is():
    def sub():
        return keras.Sequential([keras.Input(SHAPE), layers.Conv2D(4, 1), normalization()])

    def folds(outputs, image):
        model = shaken(keras.Model(image, outputs))
        x = np.random.default_rng(1).standard_normal((3, *SHAPE)).astype(np.float32)
        folded, removed = fold_batch_norms(model)
        np.testing.assert_allclose(folded(x), model(x), rtol=1e-4, atol=1e-4)
        return removed

    image = keras.Input(SHAPE)
    assert folds(layers.ReLU()(sub()(image, training=True)), image) == 0
    assert folds(layers.ReLU()(sub()(image, training=False)), image) == 1
    inner = keras.Input(SHAPE)
    outer, shared = keras.Model(inner, layers.ReLU()(sub()(inner))), sub()
    assert folds(outer(image, training=True), image) == 0
    both = layers.Add()([shared(image), shared(image, training=True)])
    assert folds(both, image) == 0
    assert folds(layers.Add()([sub()(image), sub()(image, training=True)]), image) == 1


def test_layers_whose_config_has_no_name_keep_their_weights():
    class Gain(layers.Layer):
        def __init__(self, **options):
            super().__init__(**options)

        def build(self, shape):
            self.gain = self.add_weight(shape=(shape[-1],), name="gain", initializer="normal")

        def call(self, x):
            return x * self.gain

    assert "name" not in Gain().get_config()
    inside = [Gain(), layers.Conv2D(4, 3), normalization(), Gain()]
    check(keras.Sequential([keras.Input(SHAPE), *inside]), removed=1)


def test_a_layer_that_cannot_be_made_anew_is_an_error_that_names_it():
    class Power(layers.Layer):
        def __init__(self, power, **options):
            super().__init__(**options)
            self.power = lambda x: x**power

        def get_config(self):
            return {"name": self.name}

        def call(self, x):
            return self.power(x)

    class Shrinking(layers.Layer):
        def __init__(self, count=1):
            super().__init__(name=f"count{count}")
            self.count = count

        def build(self, shape):
            self.add_weight(shape=(self.count,))

        def get_config(self):
            return {}  # the count gets lost

        def call(self, x):
            return x

    message = r"made anew from their config, but '{}' \({}\)"
    for layer in (Power(2, name="square"), Shrinking(3)):
        inside = [layer, layers.Conv2D(4, 3), normalization()]
        with pytest.raises(ValueError, match=message.format(layer.name, type(layer).__name__)):
            fold_batch_norms(keras.Sequential([keras.Input(SHAPE), *inside]))


@pytest.mark.parametrize("make", [lambda: layers.Conv2D(4, 1), lambda: layers.Dense(4)])
def test_a_layer_with_lora_weights_takes_in_nothing(make):
    linear = make()
    around = [normalization(), linear, normalization(), layers.Conv2D(3, 2), normalization()]
    model = keras.Sequential([keras.Input(SHAPE), *around])
    linear.enable_lora(2)
    linear.lora_kernel_b.assign(np.ones(linear.lora_kernel_b.shape))
    check(model, removed=2, left=1)  # the last two, into the last convolution


def test_a_normalization_of_another_dtype_policy_stays():
    other = layers.Conv2D(3, 2, dtype="mixed_bfloat16")
    model = [keras.Input(SHAPE), layers.Conv2D(3, 2), normalization(dtype="float64"), other]
    folded, removed = fold_batch_norms(keras.Sequential([*model, normalization()]))
    assert removed == 0
    assert [layer.dtype_policy.name for layer in folded.layers[1:]] == [
        layer.dtype_policy.name for layer in [*model[1:], normalization()]
    ]


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [("bfloat16", 0.05), ("float16", 0.01), ("float64", 0)]
)
def test_other_number_types_are_folded_too(dtype, tolerance):
    around = [normalization(dtype=dtype), layers.Conv2D(3, 2, dtype=dtype)]
    model = keras.Sequential([keras.Input(SHAPE, dtype=dtype), *around, normalization(dtype=dtype)])
    folded, removed = fold_batch_norms(shaken(model))
    assert removed == 2
    assert folded.layers[-1].kernel.dtype == dtype
    x = np.random.default_rng(1).standard_normal((3, *SHAPE))
    expected, ours = (np.array(keras.ops.cast(m(x), "float64")) for m in (model, folded))
    assert np.abs(ours - expected).max() <= (tolerance + 1e-12) * np.abs(expected).max()
