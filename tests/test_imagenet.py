"""The crop and resize of ImageNet's images against Pillow; the names of its classes."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from cvlab.data import photograph
from cvlab.networks import crop_and_resize, decode_predictions, imagenet_classes


def pillow(square, size):
    """Resize each channel in Pillow, in floating point."""
    channels = [Image.fromarray(np.ascontiguousarray(c)) for c in np.moveaxis(square, -1, 0)]
    resized = [c.resize((size, size), Image.Resampling.BICUBIC) for c in channels]
    return np.clip(np.stack(resized, axis=-1), 0, 255)


@pytest.mark.parametrize(
    ("name", "rows", "columns", "size"),
    [
        ("temple", (27, 400), (133, 506), 224),  # 427 x 640: side 373, offsets 27 and 133
        ("cat", (19, 281), (94, 356), 224),  # 300 x 451: side 262, offsets 19 and 94
        ("cat", (19, 281), (94, 356), 300),  # enlarged
    ],
)
def test_the_crop_and_resize_are_those_of_pillow(name, rows, columns, size):
    image = photograph(name).astype(np.float32)
    expected = pillow(image[0, slice(*rows), slice(*columns)], size)
    result = crop_and_resize(photograph(name), size=size)
    assert result.dtype == np.float32
    assert result.shape == (1, size, size, 3)
    np.testing.assert_allclose(result[0], expected, atol=0.01)


def test_a_square_of_the_wanted_size_comes_back():
    image = np.random.default_rng(0).integers(0, 256, (2, 8, 12, 3), dtype=np.uint8)
    result = crop_and_resize(image, size=8, fraction=1.0)
    np.testing.assert_allclose(result, image[:, :, 2:10], atol=1e-4)


def test_overshoot_is_clipped():
    image = np.zeros((1, 16, 16, 3), dtype=np.uint8)
    image[:, :, 8:] = 255
    result = crop_and_resize(image, size=48, fraction=1.0)
    assert result.min() == 0
    assert result.max() == 255


def test_the_smallest_image_has_one_pixel():
    assert (crop_and_resize(np.full((1, 1, 5, 3), 7), size=2) == 7).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"images": np.zeros((4, 4, 3))}, "images must have 4 axes \\(batch, height, width, 3\\)"),
        ({"images": np.zeros((1, 4, 4, 1))}, "images must have 3 channels"),
        ({"images": np.full((1, 4, 4, 3), 0.5)}, "multiply by 255"),
        ({"images": np.full((1, 4, 4, 3), 300)}, "0..255, got 300 to 300"),
        ({"size": 0}, "size must be an integer >= 1, got 0"),
        ({"fraction": 0}, "fraction must be a number in \\(0, 1\\], got 0"),
        ({"fraction": "a"}, "fraction must be a number in \\(0, 1\\], got 'a'"),
        ({"images": np.full((1, 4, 4, 3), np.nan)}, "pixel values in 0..255, got nan at index 0"),
        ({"fraction": 1.5}, "fraction must be a number in \\(0, 1\\], got 1.5"),
    ],
)
def test_crop_and_resize_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        crop_and_resize(**{"images": np.zeros((1, 4, 4, 3)), **arguments})


@pytest.mark.parametrize(
    ("index", "identifier", "name"),
    [
        (0, "n01440764", "tench"),
        (134, "n02012849", "crane"),
        (388, "n02510455", "giant_panda"),
        (517, "n03126707", "crane"),
        (985, "n11939491", "daisy"),
        (999, "n15075141", "toilet_tissue"),
    ],
)
def test_known_classes(index, identifier, name):
    assert imagenet_classes()[index] == (identifier, name)


def test_two_names_only_are_shared():
    names = [name for _, name in imagenet_classes()]
    assert {name for name in names if names.count(name) > 1} == {"crane", "maillot"}


def test_each_image_of_a_batch_is_decoded_by_its_own_scores():
    scores = np.zeros((2, 1000), dtype=np.float32)
    scores[0, [1, 999]] = 2, 3
    scores[1, 5] = 7
    first, second = decode_predictions(tf.constant(scores), top=2)
    assert first == [("n15075141", "toilet_tissue", 3.0), ("n01443537", "goldfish", 2.0)]
    assert second == [("n01496331", "electric_ray", 7.0), ("n01440764", "tench", 0.0)]
    assert [len(image) for image in decode_predictions(scores)] == [5, 5]
    assert len(decode_predictions(scores, top=1000)[0]) == 1000


def test_of_equal_scores_the_first_comes_first():
    (decoded,) = decode_predictions(np.zeros((1, 1000)), top=1000)
    assert [(identifier, name) for identifier, name, _ in decoded] == list(imagenet_classes())


@pytest.mark.parametrize(
    ("shape", "top", "message"),
    [
        ((1000,), 5, "predictions must have 2 axes \\(batch, 1000\\), got shape \\(1000,\\)"),
        ((1, 10), 5, "predictions must have the shape \\(batch, 1000\\), got \\(1, 10\\)"),
        ((1, 1000), 0, "top must be an integer >= 1, got 0"),
        ((1, 1000), 1001, "top must be at most 1000, got 1001"),
    ],
)
def test_decoding_refuses(shape, top, message):
    with pytest.raises(ValueError, match=message):
        decode_predictions(np.zeros(shape), top=top)


def test_scores_that_are_not_numbers_have_no_order():
    scores = np.zeros((2, 1000))
    scores[1, 7] = np.nan
    with pytest.raises(ValueError, match=r"predictions must be numbers .* got nan at index 1, 7"):
        decode_predictions(scores)
