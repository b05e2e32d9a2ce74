"""Class activation maps of Keras models: closed forms, finite differences, models of every kind."""

import gc
import json
import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from cvlab.class_activation import resize_maps, scaled
from cvlab.networks import efficientnet_lite0
from cvlab.networks.feature_gradients import feature_gradients
from cvlab.networks.grad_cam import cam, grad_cam, grad_cam_plus_plus, hires_cam
from cvlab.networks.graph import walk
from cvlab.networks.score_layers import find_layer

METHODS = [grad_cam, grad_cam_plus_plus, hires_cam]


@pytest.fixture(autouse=True)
def _seed():
    keras.utils.set_random_seed(0)


def images(count=3, size=(10, 8), channels=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, *size, channels)).astype(np.float32)


def pooled(head=(), size=(10, 8), kernel=3):
    """Convolution, global average pooling, and what `head` adds."""
    return keras.Sequential(
        [
            keras.Input((*size, 3)),
            layers.Conv2D(6, kernel, activation="relu", name="conv"),
            layers.GlobalAveragePooling2D(),
            *head,
        ]
    )


def curved(activation=None):
    """A model whose head is not linear in the feature map."""
    return keras.Sequential(
        [
            keras.Input((10, 8, 3)),
            layers.Conv2D(4, 3, activation="tanh", name="first"),
            layers.BatchNormalization(name="norm"),
            layers.Conv2D(5, 3, activation="tanh", name="second"),
            layers.Flatten(),
            layers.Dense(6, activation="tanh"),
            layers.Dropout(0.5),
            layers.Dense(4, activation=activation, name="scores"),
        ]
    )


def by_hand(model, x, layer, class_index):
    """Return feature map and gradient from a model with two outputs, the usual recipe."""
    both = keras.Model(model.inputs[0], [model.get_layer(layer).output, model.outputs[0]])
    with tf.GradientTape() as tape:
        features, scores = both(x, training=False)
        score = scores[:, class_index]
    return features.numpy(), tape.gradient(score, features).numpy()


def test_global_average_pooling_and_a_linear_head_give_cam_exactly():
    model = pooled([layers.Dense(4, name="scores")])
    x = images()
    for k in range(4):
        result, plain = grad_cam(model, x, k), cam(model, x, k)
        kernel, bias = model.get_layer("scores").get_weights()
        np.testing.assert_allclose(result.weights, np.tile(kernel[:, k] / 48, (3, 1)), rtol=1e-5)
        np.testing.assert_allclose(plain.weights, np.tile(kernel[:, k], (3, 1)), rtol=1e-6)
        np.testing.assert_allclose(48 * result.signed, plain.signed, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(result.maps, plain.maps, atol=1e-5)
        np.testing.assert_allclose(
            plain.signed.mean(axis=(1, 2)) + bias[k], plain.scores, atol=1e-5
        )
        np.testing.assert_allclose(hires_cam(model, x, k).signed, result.signed, atol=1e-6)
        assert result.layer == plain.layer == "conv"


def test_the_gradient_is_that_of_finite_differences():
    model = curved("softmax")
    x = images(2)
    found = feature_gradients(model, x, 2, "first")
    head = keras.Sequential([keras.Input((8, 6, 4)), *model.layers[1:-1], layers.Dense(4)])
    head.layers[-1].set_weights(model.get_layer("scores").get_weights())
    rng = np.random.default_rng(1)
    for _ in range(5):
        step = rng.normal(size=found.features.shape).astype(np.float32) * 0.01
        ahead, behind = head(found.features + step)[:, 2], head(found.features - step)[:, 2]
        slope = (found.gradients * step).sum(axis=(1, 2, 3))
        np.testing.assert_allclose((ahead - behind) / 2, slope, rtol=5e-3, atol=1e-5)
    np.testing.assert_allclose(head(found.features)[:, 2], found.scores, rtol=1e-4)


@pytest.mark.parametrize("layer", ["first", "norm", "second"])
def test_every_layer_against_a_model_with_two_outputs(layer):
    model = curved()
    x = images()
    found = feature_gradients(model, x, 3, layer)
    features, gradients = by_hand(model, x, layer, 3)
    np.testing.assert_allclose(found.features, features, atol=1e-6)
    np.testing.assert_allclose(found.gradients, gradients, atol=1e-6)
    signed = (features * gradients.mean(axis=(1, 2), keepdims=True)).sum(axis=-1)
    result = grad_cam(model, x, 3, layer)
    np.testing.assert_allclose(result.signed, signed, atol=1e-6)
    np.testing.assert_allclose(result.maps, scaled(signed), atol=1e-4)
    np.testing.assert_allclose(result.image_maps, resize_maps(result.maps, (10, 8)))
    assert result.layer == layer
    assert result.image_maps.shape == (3, 10, 8)


def test_hires_cam_adds_up_to_the_score_of_a_linear_head():
    stack = [keras.Input((10, 8, 3)), layers.Conv2D(4, 3, activation="relu"), layers.Flatten()]
    model = keras.Sequential([*stack, layers.Dense(3, bias_initializer="ones")])
    result = hires_cam(model, images(), 1)
    np.testing.assert_allclose(result.signed.sum(axis=(1, 2)) + 1, result.scores, atol=1e-5)
    assert result.weights is None


def test_grad_cam_plus_plus_on_a_linear_head():
    model = pooled([layers.Dense(4, use_bias=False, name="scores")])
    result = grad_cam_plus_plus(model, images(), 1)
    features = feature_gradients(model, images(), 1).features
    slope = np.maximum(model.get_layer("scores").get_weights()[0][:, 1] / 48, 0)
    expected = 48 * slope / (2 + slope * features.sum(axis=(1, 2)))
    np.testing.assert_allclose(result.weights, expected, rtol=1e-4)


HEADS = {
    "linear": [layers.Dense(4, name="scores")],
    "softmax layer": [layers.Dense(4, name="scores"), layers.Softmax()],
    "activation layer": [layers.Dense(4, name="scores"), layers.Activation("softmax")],
    "fused": [layers.Dense(4, activation="softmax", name="scores")],
    "fused log-softmax": [layers.Dense(4, activation="log_softmax", name="scores")],
    "fused sigmoid": [layers.Dense(4, activation="sigmoid", name="scores")],
    "sigmoid layer": [layers.Dense(4, name="scores"), layers.Activation("sigmoid")],
}


@pytest.mark.parametrize("kind", HEADS)
def test_scores_are_those_before_the_last_activation(kind):
    x = images()
    model = pooled(HEADS[kind])
    reference = pooled([layers.Dense(4)])
    weights = [50 * w + np.arange(w.shape[-1]) for w in reference.get_weights()]
    for m in (model, reference):
        m.set_weights(weights)  # of a size at which softmax and sigmoid are flat
    for method in [*METHODS, cam]:
        ours, expected = method(model, x), method(reference, x)
        np.testing.assert_allclose(ours.scores, reference(x).numpy().max(axis=1), rtol=1e-5)
        np.testing.assert_allclose(ours.signed, expected.signed, rtol=1e-4, atol=1e-4)
        assert np.array_equal(ours.class_index, reference(x).numpy().argmax(axis=1))


def test_softmax_as_an_operation_or_fused_into_a_convolution():
    image = keras.Input((10, 8, 3))
    x = layers.Conv2D(5, 3, activation="relu", name="conv")(image)
    x = layers.GlobalAveragePooling2D(keepdims=True)(x)
    scores = layers.Flatten()(layers.Conv2D(4, 1, name="classes")(x))
    model = keras.Model(image, keras.ops.softmax(scores))
    plain = keras.Model(image, scores)
    np.testing.assert_allclose(
        grad_cam(model, images(), 1).signed, grad_cam(plain, images(), 1).signed
    )
    fused = layers.Conv2D(4, 1, activation="softmax")(x)
    model = keras.Model(image, fused)
    model.layers[-1].set_weights(plain.get_layer("classes").get_weights())
    first = grad_cam(model, images(), lambda scores: scores[:, 0, 0, 1])
    np.testing.assert_allclose(first.signed, grad_cam(plain, images(), 1).signed, atol=1e-6)
    assert first.layer == "conv"  # and not the map of one position


def test_the_logits_of_a_saturated_softmax_still_have_a_gradient():
    model = pooled([layers.Dense(2, activation="softmax", name="scores")])
    model.get_layer("scores").set_weights([np.ones((6, 2)) * [1, 0.5], np.array([500.0, 0])])
    assert grad_cam(model, images(), 0).maps.max() == pytest.approx(1)
    softmax = grad_cam(model, images(), lambda scores: keras.ops.softmax(scores)[:, 0])
    assert not softmax.signed.any()


def test_adding_a_constant_to_all_scores_changes_nothing():
    model = pooled([layers.Dense(4, name="scores")])
    before = [method(model, images(), 1) for method in METHODS]
    kernel, bias = model.get_layer("scores").get_weights()
    model.get_layer("scores").set_weights([kernel, bias + 17])
    for method, then in zip(METHODS, before, strict=True):
        now = method(model, images(), 1)
        assert np.array_equal(now.signed, then.signed)
        np.testing.assert_allclose(now.scores, then.scores + 17, rtol=1e-5)


def test_nothing_positive_gives_zeros():
    model = pooled([layers.Dense(2, name="scores")])
    model.get_layer("scores").set_weights([-np.ones((6, 2)), np.zeros(2)])
    for method in [*METHODS, cam]:
        result = method(model, images(), 0)
        assert not result.maps.any()
        assert not result.image_maps.any()
    assert grad_cam(model, images(), 0).signed.min() < 0


@pytest.mark.parametrize("method", METHODS)
def test_the_entries_of_a_batch_do_not_see_each_other(method):
    model, x = curved("softmax"), images(4)
    together = method(model, x, [0, 1, 2, 3])
    for n in range(4):
        alone = method(model, x[n : n + 1], n)
        np.testing.assert_allclose(together.signed[n], alone.signed[0], atol=1e-6)
        np.testing.assert_allclose(together.image_maps[n], alone.image_maps[0], atol=1e-4)


def test_classes_and_functions_of_the_scores():
    model, x = curved("softmax"), images()
    one, two = grad_cam(model, x, 1), grad_cam(model, x, [2, 2, 2])
    assert two.class_index.tolist() == [2, 2, 2]
    difference = grad_cam(model, x, lambda scores: scores[:, 1] - 3 * scores[:, 2])
    np.testing.assert_allclose(difference.signed, one.signed - 3 * two.signed, atol=1e-6)
    np.testing.assert_allclose(difference.scores, one.scores - 3 * two.scores, atol=1e-5)
    assert difference.class_index is None
    best = grad_cam(model, x)
    assert np.array_equal(best.class_index, model(x).numpy().argmax(axis=1))
    np.testing.assert_allclose(best.signed[0], grad_cam(model, x, best.class_index).signed[0])
    assert np.array_equal(grad_cam(model, x.tolist(), 1).maps, one.maps)


def transfer_learning(inner_name="base"):
    image = keras.Input((None, None, 3))
    x = layers.Conv2D(4, 3, name="conv", use_bias=False)(image)
    x = layers.BatchNormalization(name="norm")(x)
    base = keras.Model(image, layers.ReLU(name="relu")(x), name=inner_name)
    base.trainable = False
    outer = keras.Input((10, 8, 3))
    x = base(layers.RandomFlip()(layers.Rescaling(0.5)(outer)), training=False)
    x = layers.Dropout(0.4)(layers.GlobalAveragePooling2D()(x))
    return keras.Model(outer, layers.Dense(3, activation="softmax", name="new")(x)), base


def test_models_inside_models():
    model, base = transfer_learning()
    base.get_layer("norm").set_weights([np.full(4, v, np.float32) for v in (1.5, 0.2, 0.1, 2)])
    x = images()
    features = base(0.5 * x).numpy()
    for layer in (None, "base", "base/relu", "relu"):
        result = grad_cam(model, x, 1, layer)
        assert result.layer == "base/relu"
        weights = model.get_layer("new").get_weights()[0][:, 1] / 48
        np.testing.assert_allclose(result.signed, features @ weights, atol=1e-6)
    np.testing.assert_allclose(cam(model, x, 1).maps, result.maps, atol=1e-5)
    assert grad_cam(model, x, 1, "conv").layer == "base/conv"


def test_sequential_models_with_models_inside():
    model, base = transfer_learning()
    stack = keras.Sequential(
        [keras.Input((10, 8, 3)), layers.Rescaling(0.5), base, *model.layers[-3:]], name="outer"
    )
    wrapped = keras.Sequential([keras.Input((10, 8, 3)), stack])
    expected = grad_cam(model, images(), 2)
    for other, layer in [(stack, "base/relu"), (wrapped, "outer/base/relu")]:
        result = grad_cam(other, images(), 2)
        np.testing.assert_allclose(result.signed, expected.signed, atol=1e-6)
        assert result.layer == layer


def test_layers_used_twice_branches_operations_and_several_outputs():
    conv = layers.Conv2D(3, 3, padding="same", name="conv")
    image = keras.Input((10, 8, 3))
    once = conv(image)
    left, right = keras.ops.split(once * 2.0, [1], axis=-1)
    twice = layers.ReLU(name="relu")(conv(once) + image)
    x = layers.Concatenate()([right, twice, left])
    model = keras.Model(image, layers.Dense(2)(layers.Flatten()(x)))
    x = images()
    for layer, tensor in [("conv", once), ("relu", twice)]:
        both = keras.Model(image, [tensor, model.outputs[0]])
        with tf.GradientTape() as tape:
            features, scores = both(x)
            score = scores[:, 1]
        found = feature_gradients(model, x, 1, layer)
        np.testing.assert_allclose(found.features, features, atol=1e-6)
        np.testing.assert_allclose(found.gradients, tape.gradient(score, features), atol=1e-6)
    second = feature_gradients(model, x, 1, "conv:2")
    np.testing.assert_allclose(second.features, conv(conv(x)), atol=1e-6)
    with pytest.raises(ValueError, match=r"layer must .* \['conv', 'conv:2'\], got 'con'"):
        grad_cam(model, x, layer="con")


def test_ambiguous_names():
    one, two = transfer_learning("one")[1], transfer_learning("two")[1]
    image = keras.Input((12, 12, 3))
    x = two(layers.Conv2D(3, 1)(one(image)))
    model = keras.Model(image, layers.Dense(2)(layers.Flatten()(x)))
    message = r"layer must be one of \['one/relu', 'two/relu'\], got 'relu'"
    with pytest.raises(ValueError, match=message):
        grad_cam(model, images(1, (12, 12)), layer="relu")
    assert grad_cam(model, images(1, (12, 12)), layer="one").layer == "one/relu"


def default_layer(model):
    return find_layer(walk(model), None).name


def test_the_default_is_the_last_convolutional_feature_map():
    small = {"weights": None, "input_shape": (64, 64, 3)}
    applications = keras.applications
    mobilenet = applications.MobileNet(alpha=0.25, **small)  # classifies by a map of one position
    assert default_layer(mobilenet) == "conv_pw_13_relu"
    assert default_layer(applications.ResNet50(include_top=False, **small)) == "conv5_block3_out"
    assert default_layer(efficientnet_lite0(weights=None)) == "top_activation"
    vgg = [keras.Input((8, 8, 3)), layers.Conv2D(2, 3, name="a"), layers.ReLU(name="b")]
    vgg += [layers.MaxPooling2D(1, padding="same"), layers.Dropout(0.5), layers.Flatten()]
    assert default_layer(keras.Sequential([*vgg, layers.Dense(2)])) == "b"
    open_size = [keras.Input((None, None, 3)), layers.Conv2D(2, 3, name="a")]
    open_size += [layers.AveragePooling2D(2), layers.GlobalMaxPooling2D()]
    assert default_layer(keras.Sequential(open_size)) == "a"


def snapshot(model):
    nodes = [len(layer._inbound_nodes) for layer in model._flatten_layers()]
    state = [v.numpy().copy() for v in model.variables]
    flags = [layer.trainable for layer in model._flatten_layers()]
    activations = [getattr(layer, "activation", None) for layer in model._flatten_layers()]
    return json.loads(model.to_json()), nodes, flags, activations, len(model.losses), state


def test_the_model_is_left_as_it_was():
    model, base = transfer_learning()
    regularised = keras.Sequential(
        [
            keras.Input((10, 8, 3)),
            layers.RandomRotation(0.2),
            base,
            layers.ActivityRegularization(0.1),
            layers.Conv2D(3, 3, activity_regularizer="l2", kernel_regularizer="l2"),
            layers.Flatten(),
            layers.Dropout(0.3),
            layers.Dense(2, activation="softmax"),
        ]
    )
    for network in (model, regularised):
        output = network(images(), training=False)
        losses = len(network.losses)
        before = snapshot(network)
        for _ in range(2):
            for target in (1, None, lambda scores: scores[:, 0]):
                grad_cam(network, images(), target)
        after = snapshot(network)
        assert len(network.losses) == losses
        assert after[:-1] == before[:-1]
        for then, now in zip(before[-1], after[-1], strict=True):
            assert np.array_equal(then, now)
        assert np.array_equal(network(images(), training=False), output)


def test_new_weights_and_new_layers_count_at_once():
    model = pooled([layers.Dense(2)])
    x = images()
    first = grad_cam(model, x, 0)
    weights = model.get_weights()
    model.set_weights([w[..., ::-1] if w.shape[-1] == 2 else w for w in weights])
    np.testing.assert_allclose(grad_cam(model, x, 1).signed, first.signed)
    model.add(layers.Rescaling(-1.0))
    np.testing.assert_allclose(grad_cam(model, x, 1).signed, -first.signed)


def test_a_forgotten_model_is_freed():
    model = pooled([layers.Dense(2, activation="softmax")])
    grad_cam(model, images())
    reference = weakref.ref(model)
    del model
    gc.collect()
    assert reference() is None


def test_images_of_any_size_and_other_types():
    model = pooled([layers.Dense(2)], size=(None, None))
    for size in [(9, 12), (20, 5)]:
        result = grad_cam(model, images(2, size), 1)
        assert result.maps.shape == (2, size[0] - 2, size[1] - 2)
        assert result.image_maps.shape == (2, *size)
    whole = np.random.default_rng(0).integers(0, 255, (2, 9, 9, 3))
    expected = grad_cam(model, whole.astype(np.float32), 1).maps
    for kind in (np.uint8, np.int64, np.float64):
        assert np.array_equal(grad_cam(model, whole.astype(kind), 1).maps, expected)
    assert expected.dtype == np.float32


def test_mixed_precision_and_double_precision():
    for policy, tolerance in [("float64", 1e-6), ("mixed_bfloat16", 0.05)]:
        stack = [
            keras.Input((10, 8, 3)),
            layers.Conv2D(4, 3, activation="relu", dtype=policy),
            layers.GlobalAveragePooling2D(dtype=policy),
            layers.Dense(3, activation="softmax", dtype=policy),
        ]
        model = keras.Sequential(stack)
        plain = keras.Sequential([type(x).from_config({**x.get_config(), "dtype": "float32"})
                                  for x in model.layers])  # fmt: skip
        plain.build((None, 10, 8, 3))
        plain.set_weights(model.get_weights())
        result, expected = grad_cam(model, images(), 1), grad_cam(plain, images(), 1)
        np.testing.assert_allclose(result.maps, expected.maps, atol=tolerance)
        assert result.maps.dtype == np.float32


def test_errors_of_layers_and_models():
    model = curved()
    message = r"layer must name a layer of the model, such as \['second'\], got 'secnd'"
    with pytest.raises(ValueError, match=message):
        grad_cam(model, images(), layer="secnd")
    message = r"layer must have a map .* more than one position, got 'scores' with .*\(None, 4\)"
    with pytest.raises(ValueError, match=message):
        grad_cam(model, images(), layer="scores")
    pooled_map = [keras.Input((9, 9, 3)), layers.Conv2D(2, 9, name="one"), layers.Flatten()]
    single = keras.Sequential([*pooled_map, layers.Dense(2)])
    with pytest.raises(ValueError, match=r"got 'one' with the shape \(None, 1, 1, 2\)"):
        grad_cam(single, images(1, (9, 9)), layer="one")
    with pytest.raises(ValueError, match="model must have a convolution whose output has height"):
        grad_cam(single, images(1, (9, 9)))
    with pytest.raises(ValueError, match="layer must be the name of a layer or None, got 3"):
        grad_cam(model, images(), layer=3)
    two = keras.Model(model.inputs, [model.outputs[0], model.get_layer("first").output])
    with pytest.raises(ValueError, match="return one output, got 1 inputs and 2 outputs"):
        grad_cam(two, images())
    with pytest.raises(ValueError, match="model must be a functional or a Sequential"):
        grad_cam(lambda x: x, images())
    embedded = [keras.Input((9, 9, 3)), layers.Conv2D(2, 3), layers.Flatten()]
    embedded += [layers.EinsumDense("ab,bc->ac", 3, activation="softmax", name="odd")]
    with pytest.raises(ValueError, match="got softmax in EinsumDense 'odd'"):
        grad_cam(keras.Sequential(embedded), images(1, (9, 9)))
    opened = pooled([layers.Dense(2)], size=(None, None))
    with pytest.raises(ValueError, match=r"got 'conv' with the shape \(None, 1, 1, 6\)|\(1, 1, 1"):
        grad_cam(opened, images(1, (3, 3)), lambda scores: scores[:, 0])


def test_errors_of_classes_and_images():
    model = curved()
    with pytest.raises(ValueError, match=r"class_index must be in 0..3, got 4"):
        grad_cam(model, images(), 4)
    with pytest.raises(ValueError, match="class_index must be an integer >= 0, got -1"):
        grad_cam(model, images(), -1)
    with pytest.raises(ValueError, match=r"class_index must be an integer >= 0, got 1\.5"):
        grad_cam(model, images(), 1.5)
    with pytest.raises(ValueError, match="class_index must hold 3 classes, one an image, got 2"):
        grad_cam(model, images(), [0, 1])
    message = r"class_index as a function must return one number .* \(3,\), got shape \(3, 4\)"
    with pytest.raises(ValueError, match=message):
        grad_cam(model, images(), lambda scores: scores)
    with pytest.raises(ValueError, match="class_index must be a score that depends on layer"):
        grad_cam(model, images(), lambda scores: tf.zeros(3))
    message = r"images must have the shape \(batch, 10, 8, 3\) of the model's input, got "
    with pytest.raises(ValueError, match=message + r"\(3, 8, 10, 3\)$"):
        grad_cam(model, images(3, (8, 10)))
    with pytest.raises(ValueError, match=message + r"\(10, 8, 3\); add the batch axis"):
        grad_cam(model, images()[0])
    message = r"images must hold at least one image, got shape \(0, 10, 8, 3\)"
    with pytest.raises(ValueError, match=message):
        grad_cam(model, images(0))
    maps = keras.Sequential([keras.Input((9, 9, 3)), layers.Conv2D(2, 3)])
    message = r"function of the model's output, .* \(None, 7, 7, 2\) and not .*; got None"
    with pytest.raises(ValueError, match=message):
        grad_cam(maps, images(1, (9, 9)))
    with pytest.raises(ValueError, match=r"end in global average pooling .* got Dense and Dense"):
        cam(model, images())
    with pytest.raises(ValueError, match="class_index must be a class"):
        cam(pooled([layers.Dense(2)]), images(), lambda scores: scores[:, 0])
