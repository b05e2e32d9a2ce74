"""Photographs, digits and drawn scenes: right pixels, offline, and masks that tell the truth."""

import subprocess
import sys
import textwrap

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cvlab.data import (
    SHAPES,
    center_crop,
    credit,
    digits,
    draw_scenes,
    faces,
    photograph,
    photograph_names,
    photographs,
    signed_distance,
)


def run_python(code):
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False
    )


def test_import_needs_numpy_only():
    result = run_python(
        """
        import sys
        class Block:
            names = {"keras", "tensorflow", "matplotlib", "sklearn", "skimage", "PIL", "scipy"}
            def find_spec(self, name, path=None, target=None):
                if name.partition(".")[0] in self.names:
                    raise ImportError(name)
        sys.meta_path.insert(0, Block())
        from cvlab.data import draw_scenes
        import numpy as np
        draw_scenes(2, np.random.default_rng(0))
        """
    )
    assert result.returncode == 0, result.stderr


def test_everything_loads_without_a_connection(tmp_path):
    result = run_python(
        f"""
        import os, socket
        os.environ.update(HOME={str(tmp_path)!r}, XDG_CACHE_HOME={str(tmp_path)!r})
        def refuse(*args, **kwargs):
            raise OSError("no connection")
        socket.socket.connect = socket.getaddrinfo = socket.create_connection = refuse
        from cvlab import data
        print([data.photograph(name).shape for name in data.photograph_names()])
        data.faces(), data.digits()
        """
    )
    assert result.returncode == 0, result.stderr


# --- photographs -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("temple", (1, 427, 640, 3)),
        ("flower", (1, 427, 640, 3)),
        ("cat", (1, 300, 451, 3)),
        ("astronaut", (1, 512, 512, 3)),
        ("coffee", (1, 400, 600, 3)),
        ("motorcycle", (1, 500, 741, 3)),
        ("brick", (1, 512, 512, 1)),
        ("grass", (1, 512, 512, 1)),
        ("gravel", (1, 512, 512, 1)),
    ],
)
def test_photograph(name, shape):
    image = photograph(name)
    assert name in photograph_names()
    assert image.shape == shape
    assert image.dtype == np.uint8
    assert image.std() > 20


def test_temple_and_flower_are_not_swapped():
    assert photograph("temple").mean() > 1.5 * photograph("flower").mean()


def test_photograph_is_a_copy():
    photograph("cat")[:] = 0
    assert photograph("cat").any()
    photographs("cat")[:] = 0
    assert photograph("cat").any()


def test_crops_have_the_published_channel_means():
    # Lecture B (claim C03), computed there with keras.layers.CenterCrop and Rescaling.
    crops = photographs("temple", "flower", size=(70, 120))
    assert crops.shape == (2, 70, 120, 3)
    np.testing.assert_allclose(
        (crops / 255).mean(axis=(1, 2)),
        [[0.643388, 0.597182, 0.582504], [0.763075, 0.260108, 0.108488]],
        atol=2e-5,
    )


@pytest.mark.parametrize("size", [(9, 12), (8, 12), (9, 11), (4, 5), (3, 5), (1, 1), (1, 12)])
def test_center_crop_is_that_of_keras(size):
    keras = pytest.importorskip("keras")
    images = np.arange(2 * 9 * 12 * 3, dtype=np.float32).reshape(2, 9, 12, 3)
    expected = np.asarray(keras.layers.CenterCrop(*size)(images))
    np.testing.assert_array_equal(center_crop(images, *size), expected)


def test_whole_photographs_of_one_size_need_no_size():
    np.testing.assert_array_equal(
        photographs("flower", "temple"),
        np.concatenate([photograph("flower"), photograph("temple")]),
    )
    assert photographs("cat", size=32).shape == (1, 32, 32, 3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: photograph("dog"), "name must be one of temple, .*, got 'dog'"),
        (lambda: photographs("cat", "dog"), "name must be one of temple, .*, got 'dog'"),
        (lambda: credit("dog"), "name must be one of temple, .*digits, got 'dog'"),
        (lambda: photographs(), "names must hold at least one of temple"),
        (lambda: photographs("cat", "brick"), "all colour or all grey.*cat: 3, brick: 1"),
        (lambda: photographs("cat", "coffee"), r"different sizes, got cat: \(300, 451\), coffee"),
        (lambda: photographs("cat", size=301), r"of the images, \(300, 451\), got \(301, 301\)"),
        (lambda: photographs("cat", size=0), "size must be an integer >= 1, got 0"),
        (lambda: center_crop(np.zeros((3, 3)), 1, 1), r"4 axes .* got shape \(3, 3\)"),
        (lambda: center_crop(np.zeros((1, 3, 3, 1)), 1.0, 1), "height must be an integer"),
        (lambda: center_crop(np.zeros((1, 3, 3, 1)), 3, 4), r"got \(3, 4\)"),
    ],
)
def test_photograph_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("name", [*photograph_names(), "faces", "digits"])
def test_every_image_has_a_credit(name):
    author, licence, origin = credit(name)
    assert author
    assert licence
    assert origin.startswith(("http", "skimage.data."))
    assert str(credit(name)) == f"{author} ({licence}), {origin}"


def test_faces_come_first():
    import skimage.data

    patches, labels = faces()
    assert patches.shape == (200, 25, 25, 1)
    assert patches.dtype == np.float32
    assert patches.min() >= 0
    assert patches.max() <= 1
    np.testing.assert_allclose(patches[..., 0], skimage.data.lfw_subset(), atol=1e-7)
    np.testing.assert_array_equal(np.flatnonzero(labels), np.arange(100))


# --- digits ----------------------------------------------------------------------------------


def as_rows(images, labels):
    rows = np.column_stack([images.reshape(len(images), -1), labels])
    return rows[np.lexsort(rows.T)]


@pytest.mark.parametrize("fraction", [0.25, 0.1, 0.9])
def test_digits_split_holds_every_digit_once(fraction):
    from sklearn.datasets import load_digits

    split = digits(fraction)
    assert split.train_images.shape[1:] == (8, 8, 1)
    assert split.train_images.dtype == split.test_images.dtype == np.float32
    assert split.train_labels.dtype == split.test_labels.dtype == np.int64
    source = load_digits()
    both = as_rows(
        np.concatenate([split.train_images, split.test_images]),
        np.concatenate([split.train_labels, split.test_labels]),
    )
    np.testing.assert_array_equal(both, as_rows(source.images / 16, source.target))


def test_digits_split_is_stratified_and_shuffled():
    split = digits(0.25)
    train, test = (np.bincount(y, minlength=10) for y in (split.train_labels, split.test_labels))
    np.testing.assert_allclose(test / (train + test), 0.25, atol=0.5 / 174)
    # In a random order the first 200 hold about 20 of each class.
    for labels in (split.train_labels, split.test_labels):
        first = np.bincount(labels[:200], minlength=10)
        assert first.min() >= 8
        assert first.max() <= 36
        assert np.mean(labels[1:] == labels[:-1]) < 0.15


def test_digits_depend_on_the_generator_only():
    for a, b in zip(digits(), digits(rng=np.random.default_rng(0)), strict=True):
        np.testing.assert_array_equal(a, b)
    one, other = digits(), digits(rng=np.random.default_rng(1))
    assert not np.array_equal(
        as_rows(one.test_images, one.test_labels), as_rows(other.test_images, other.test_labels)
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"test_fraction": 0}, "test_fraction must be between 0 and 1, got 0"),
        ({"test_fraction": 1.0}, "test_fraction must be between 0 and 1, got 1.0"),
        ({"test_fraction": float("nan")}, "test_fraction must be between 0 and 1, got nan"),
        ({"test_fraction": "a"}, "test_fraction must be a number, got 'a'"),
        ({"test_fraction": True}, "test_fraction must be a number, got True"),
        ({"test_fraction": 1e-6}, "leave every class some digits .* 0 of 178 for class 0"),
        ({"rng": 0}, "rng must be a numpy.random.Generator, got 0"),
    ],
)
def test_digits_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        digits(**arguments)


# --- shapes ----------------------------------------------------------------------------------


def polygon(shape, radius):
    """Return the corners of a shape, from the geometry of the circle around it."""

    def on_circle(turns, distance=radius):
        angle = 2 * np.pi * np.asarray(turns)
        return np.stack([distance * np.sin(angle), -distance * np.cos(angle)], axis=-1)

    if shape == "triangle":
        return on_circle(np.arange(3) / 3)
    if shape == "square":
        return on_circle((np.arange(4) + 0.5) / 4)
    if shape == "star":
        inner = radius * (3 - 5**0.5) / 2  # the golden ratio squared, inverted
        points = [on_circle(np.arange(5) / 5), on_circle((np.arange(5) + 0.5) / 5, inner)]
        return np.stack(points, axis=1).reshape(10, 2)
    a, b = 0.95 * radius, 0.3 * radius
    if shape == "bar":
        return np.array([(-a, -b), (a, -b), (a, b), (-a, b)])
    plus = [(-b, -a), (b, -a), (b, -b), (a, -b), (a, b), (b, b), (b, a), (-b, a)]
    return np.array([*plus, (-b, b), (-a, b), (-a, -b), (-b, -b)])


@pytest.mark.parametrize("shape", ["triangle", "square", "star", "bar", "cross"])
def test_signed_distance_of_polygons(shape):
    from matplotlib.path import Path

    corners = polygon(shape, radius=10.0)
    assert np.hypot(*corners.T).max() <= 10.0 + 1e-9
    u, v = np.meshgrid(np.linspace(-12, 12, 161), np.linspace(-12, 12, 163))
    points = np.stack([u.ravel(), v.ravel()], axis=1)
    # Truth: Euclidean distance to the nearest edge, and matplotlib's test of the inside.
    starts, ends = corners, np.roll(corners, -1, axis=0)
    along = ends - starts
    t = np.einsum("pec,ec->pe", points[:, None] - starts, along) / (along**2).sum(axis=1)
    nearest = starts + np.clip(t, 0, 1)[..., None] * along
    truth = np.sqrt(((points[:, None] - nearest) ** 2).sum(axis=-1)).min(axis=1)
    inside = Path(corners).contains_points(points)
    distance = signed_distance(shape, u, v, 10.0).ravel()
    clear = truth > 1e-6
    np.testing.assert_array_equal(distance[clear] < 0, inside[clear])
    assert np.all(np.abs(distance) <= truth + 1e-9)
    # Away from corners, and within 2 pixels of an edge, the distance is exact.
    edge_points = np.concatenate([(starts + ends) / 2])
    normal = np.stack([along[:, 1], -along[:, 0]], axis=1) / np.hypot(*along.T)[:, None]
    for step in (-1.0, -0.3, 0.4, 1.2):
        p = edge_points + step * normal
        got = signed_distance(shape, p[:, :1], p[:, 1:], 10.0).ravel()
        np.testing.assert_allclose(np.abs(got), abs(step), atol=1e-9)


def test_signed_distance_of_round_shapes():
    u = np.array([[0.0, 3.0, 5.0, 7.5, 10.0, 13.0]])
    for turned in ((u, 0 * u), (0 * u, -u), (0.6 * u, 0.8 * u)):
        np.testing.assert_allclose(
            signed_distance("circle", *turned, 10.0), [[-10, -7, -5, -2.5, 0, 3]], atol=1e-12
        )
        np.testing.assert_allclose(
            signed_distance("ring", *turned, 10.0), [[5, 2, 0, -2.5, 0, 3]], atol=1e-12
        )


def test_signed_distance_error():
    with pytest.raises(ValueError, match=r"shape must be one of circle, .*, got 'heart'"):
        signed_distance("heart", np.zeros((1, 1)), np.zeros((1, 1)), 1.0)


# --- scenes ----------------------------------------------------------------------------------


def assert_consistent(scenes):
    """Check masks, boxes, labels and counts against each other, one object at a time."""
    n, k = scenes.labels.shape
    height, width = scenes.images.shape[1:3]
    assert scenes.images.shape == (n, height, width, 3)
    assert scenes.images.dtype == scenes.boxes.dtype == scenes.visible.dtype == np.float32
    assert scenes.semantic.dtype == scenes.instances.dtype == np.uint8
    assert scenes.labels.dtype == scenes.counts.dtype == np.int64
    if n:
        assert scenes.images.min() >= 0
        assert scenes.images.max() <= 1
    for i in range(n):
        semantic = np.zeros((height, width), dtype=int)
        for j in range(k):
            rows, columns = np.nonzero(scenes.instances[i] == j + 1)
            if j >= scenes.counts[i]:
                assert len(rows) == 0
                assert scenes.labels[i, j] == -1
                assert not scenes.boxes[i, j].any()
                assert scenes.visible[i, j] == 0
                continue
            box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            np.testing.assert_array_equal(scenes.boxes[i, j], box)
            assert 0 <= scenes.labels[i, j] < len(scenes.shapes)
            assert 0 < scenes.visible[i, j] <= 1
            semantic[rows, columns] = scenes.labels[i, j] + 1
        np.testing.assert_array_equal(scenes.semantic[i], semantic)
        if scenes.counts[i]:
            assert scenes.visible[i, scenes.counts[i] - 1] == 1  # nothing is drawn after it


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    size=st.tuples(st.integers(16, 50), st.integers(16, 50)),
    objects=st.tuples(st.integers(0, 3), st.integers(3, 12)),
    shapes=st.lists(st.sampled_from(SHAPES), min_size=1, max_size=7, unique=True),
    max_hidden=st.sampled_from([0.0, 0.25, 0.6, 1.0]),
    background=st.sampled_from(["plain", "gradient"]),
    clutter=st.integers(0, 3),
    noise=st.sampled_from([0.0, 0.2]),
    flags=st.tuples(st.booleans(), st.booleans()),
)
def test_scenes_are_consistent(
    seed, size, objects, shapes, max_hidden, background, clutter, noise, flags
):
    scenes = draw_scenes(
        4,
        np.random.default_rng(seed),
        size=size,
        objects=objects,
        shapes=shapes,
        scale=(0.15, 0.4),
        rotate=flags[0],
        max_hidden=max_hidden,
        background=background,
        clutter=clutter,
        noise=noise,
        antialias=flags[1],
    )
    assert scenes.images.shape == (4, *size, 3)
    assert scenes.labels.shape == (4, objects[1])
    assert scenes.shapes == tuple(shapes)
    assert_consistent(scenes)
    drawn = scenes.labels >= 0
    assert np.all(scenes.visible[drawn] >= 1 - max_hidden - 1e-6)


def test_masks_and_image_agree_pixel_by_pixel():
    # Without antialiasing every object is one colour, and so is the background.
    scenes = draw_scenes(
        30, np.random.default_rng(1), objects=(2, 5), max_hidden=0.8, shapes=SHAPES, antialias=False
    )
    assert (scenes.visible[scenes.labels >= 0] < 1).any()
    for image, instances, count in zip(scenes.images, scenes.instances, scenes.counts, strict=True):
        colors = [image[instances == k] for k in range(count + 1)]
        for pixels in colors:
            np.testing.assert_array_equal(pixels, np.broadcast_to(pixels[:1], pixels.shape))
        first = np.array([pixels[0] for pixels in colors])
        assert np.all(np.abs(first[1:] - first[0]) >= 0.3 - 1e-5)  # stands out everywhere
        assert len(np.unique(first, axis=0)) == count + 1


def test_visible_fraction_counts_hidden_pixels(monkeypatch):
    whole = []

    def recording(*arguments):
        distance = signed_distance(*arguments)
        whole.append(int((distance <= 0).sum()))
        return distance

    monkeypatch.setattr("cvlab.data.scenes.signed_distance", recording)
    seen = 0
    for seed in range(60):
        whole.clear()
        scenes = draw_scenes(
            1, np.random.default_rng(seed), objects=4, scale=(0.2, 0.3), max_hidden=1
        )
        if len(whole) != scenes.counts[0]:  # a place was refused: whole holds too many
            continue
        areas = [(scenes.instances == k + 1).sum() for k in range(4)]
        np.testing.assert_allclose(scenes.visible[0], np.divide(areas, whole), rtol=1e-6)
        seen += (scenes.visible[0] < 1).any()
    assert seen > 20


def test_circles_lie_where_the_masks_and_boxes_say():
    # Radius 10 in an image that is not square: any swap of axes or half-pixel shift shows.
    scenes = draw_scenes(
        200,
        np.random.default_rng(2),
        size=(40, 100),
        objects=1,
        shapes="circle",
        scale=(0.25, 0.25),
        colors=[[1, 1, 1]],
        background=[0, 0, 0],
    )
    light = scenes.images[..., 0].astype(np.float64)
    area = light.sum(axis=(1, 2))
    np.testing.assert_allclose(area, np.pi * 100, rtol=0.01)
    np.testing.assert_allclose((scenes.semantic > 0).sum(axis=(1, 2)), np.pi * 100, rtol=0.06)
    x = (light.sum(axis=1) @ (np.arange(100) + 0.5)) / area
    y = (light.sum(axis=2) @ (np.arange(40) + 0.5)) / area
    x0, y0, x1, y1 = scenes.boxes[:, 0].T
    for center, low, high in ((x, x0, x1), (y, y0, y1)):
        assert np.abs((low + high) / 2 - center).max() <= 0.5
        assert abs(np.mean((low + high) / 2 - center)) < 0.05
        assert np.all(high - low >= 19)
        assert np.all(high - low <= 21)
    dx = np.arange(100) + 0.5 - x[:, None, None]
    dy = (np.arange(40) + 0.5)[:, None] - y[:, None, None]
    distance = np.hypot(dx, dy)
    mask = scenes.instances > 0
    assert np.all(mask[distance < 9.95])
    assert not np.any(mask[distance > 10.05])
    # Centres fill the room that keeps circles inside: 10 to 90 and 10 to 30.
    assert x.min() < 13
    assert x.max() > 87
    assert abs(x.mean() - 50) < 6
    assert y.min() < 11.5
    assert y.max() > 28.5


@pytest.mark.parametrize("size", [40, 41])
def test_the_largest_circle_fills_the_image_evenly(size):
    scenes = draw_scenes(
        1, np.random.default_rng(0), size=size, objects=1, shapes="circle", scale=(0.5, 0.5)
    )
    np.testing.assert_array_equal(scenes.boxes[0, 0], [0, 0, size, size])
    for flipped in (np.flip(scenes.instances, 1), np.flip(scenes.instances, 2)):
        np.testing.assert_array_equal(flipped, scenes.instances)


@pytest.mark.parametrize("background", ["plain", "gradient", [[[1.0, 0, 0]], [[0, 0.5, 1]]]])
def test_objects_stand_out_from_the_mean_color(background):
    if not isinstance(background, str):
        background = np.repeat(background, 4, axis=0)
    arguments = {"size": 8, "background": background, "antialias": False}
    for seed in range(200):
        empty, one = (
            draw_scenes(1, np.random.default_rng(seed), objects=n, scale=(0.3, 0.4), **arguments)
            for n in (0, 1)
        )
        color = one.images[one.instances > 0][0]
        assert np.abs(color - empty.images.mean(axis=(0, 1, 2))).min() >= 0.3 - 1e-5


def test_labels_name_the_shapes_in_the_order_given():
    scenes = draw_scenes(
        80, np.random.default_rng(3), objects=1, shapes=["circle", "square"], rotate=False
    )
    sides = scenes.boxes[:, 0, 2:] - scenes.boxes[:, 0, :2]
    filled = (scenes.instances > 0).sum(axis=(1, 2)) / sides.prod(axis=1)
    is_square = scenes.labels[:, 0] == 1
    assert 20 < is_square.sum() < 60
    np.testing.assert_array_equal(filled[is_square], 1)
    assert np.all(filled[~is_square] < 0.93)
    np.testing.assert_array_equal(scenes.semantic.max(axis=(1, 2)), scenes.labels[:, 0] + 1)


def test_rotation_turns_shapes():
    upright = draw_scenes(40, np.random.default_rng(4), objects=1, shapes="bar", rotate=False)
    turned = draw_scenes(40, np.random.default_rng(4), objects=1, shapes="bar")
    for scenes, some_tall in ((upright, False), (turned, True)):
        sides = scenes.boxes[:, 0, 2:] - scenes.boxes[:, 0, :2]
        assert np.any(sides[:, 1] > sides[:, 0]) == some_tall


def test_objects_kept_apart():
    scenes = draw_scenes(20, np.random.default_rng(5), objects=60, max_hidden=0)
    assert_consistent(scenes)
    np.testing.assert_array_equal(scenes.visible[scenes.labels >= 0], 1)
    assert scenes.counts.max() < 60  # no room for all: those left out are not counted
    assert scenes.counts.min() > 5


def test_no_object_is_hidden_completely():
    scenes = draw_scenes(5, np.random.default_rng(6), size=24, objects=40, max_hidden=1)
    assert_consistent(scenes)
    assert scenes.visible[scenes.labels >= 0].min() < 0.2


def test_same_generator_same_scenes():
    arguments = {"clutter": (0, 2), "noise": 0.1, "background": "gradient", "objects": (0, 4)}
    few = draw_scenes(3, np.random.default_rng(7), **arguments)
    many = draw_scenes(6, np.random.default_rng(7), **arguments)
    other = draw_scenes(3, np.random.default_rng(8), **arguments)
    for name in ("images", "semantic", "instances", "boxes", "labels", "visible", "counts"):
        np.testing.assert_array_equal(getattr(few, name), getattr(many, name)[:3])
    assert not np.array_equal(few.images, other.images)


def test_numbers_of_objects_are_equally_likely():
    scenes = draw_scenes(400, np.random.default_rng(9), size=32, objects=(0, 3), max_hidden=1)
    np.testing.assert_allclose(np.bincount(scenes.counts) / 400, 0.25, atol=0.08)


def test_colors_are_chosen_apart_from_shapes():
    palette = np.array([[1.0, 0, 0], [0, 0, 1.0]])
    scenes = draw_scenes(
        100, np.random.default_rng(10), objects=1, shapes=["circle", "star"], colors=palette,
        background=[1.0, 1.0, 1.0],
    )  # fmt: skip
    centers = scenes.boxes[:, 0].reshape(-1, 2, 2).mean(axis=1).astype(int)
    pixels = scenes.images[np.arange(100), centers[:, 1], centers[:, 0]]
    red = pixels[:, 0] == 1
    np.testing.assert_array_equal(pixels, np.where(red[:, None], palette[0], palette[1]))
    table = np.histogram2d(red, scenes.labels[:, 0], bins=2)[0]
    assert table.min() > 12


def test_backgrounds():
    rng = np.random.default_rng(11)
    plain = draw_scenes(4, rng, objects=0).images
    np.testing.assert_array_equal(plain, np.broadcast_to(plain[:, :1, :1], plain.shape))
    assert len(np.unique(plain[:, 0, 0], axis=0)) == 4
    gradient = draw_scenes(4, rng, objects=0, size=(20, 30), background="gradient").images
    assert np.abs(np.diff(gradient, n=2, axis=1)).max() < 1e-6  # linear along both axes
    assert np.abs(np.diff(gradient, n=2, axis=2)).max() < 1e-6
    assert np.all(np.ptp(gradient, axis=(1, 2)).max(axis=1) > 0.05)
    given_images = rng.random((4, 20, 30, 3)).astype(np.float32)
    for background in (given_images, given_images[0], given_images[0, 0, 0]):
        drawn = draw_scenes(4, rng, objects=0, size=(20, 30), background=background).images
        np.testing.assert_array_equal(drawn, np.broadcast_to(background, drawn.shape))


def test_clutter_is_drawn_behind_objects_and_not_in_masks():
    black = [0.0, 0, 0]
    arguments = {"objects": 1, "background": black, "colors": [[1.0, 1, 1]], "antialias": False}
    scenes = draw_scenes(10, np.random.default_rng(12), clutter=6, **arguments)
    assert_consistent(scenes)
    stray = (scenes.images > 0).any(axis=-1) & (scenes.instances == 0)
    assert np.all(stray.sum(axis=(1, 2)) > 20)
    np.testing.assert_array_equal(scenes.images[scenes.instances > 0], 1)
    clean = draw_scenes(10, np.random.default_rng(12), **arguments)
    assert not clean.images[clean.instances == 0].any()


def test_noise_has_the_standard_deviation_given():
    arguments = {"objects": 0, "background": [0.5, 0.5, 0.5]}
    noisy = draw_scenes(10, np.random.default_rng(13), noise=0.1, **arguments).images - 0.5
    assert abs(noisy.std() - 0.1) < 0.002
    assert abs(noisy.mean()) < 0.002
    assert np.abs(np.corrcoef(noisy[..., 0].ravel(), noisy[..., 1].ravel())[0, 1]) < 0.02
    heavy = draw_scenes(2, np.random.default_rng(13), noise=5, **arguments).images
    assert (heavy.min(), heavy.max()) == (0, 1)


def test_no_scenes_and_no_objects():
    none = draw_scenes(0, np.random.default_rng(0))
    assert none.images.shape == (0, 64, 64, 3)
    assert none.boxes.shape == (0, 3, 4)
    assert_consistent(none)
    empty = draw_scenes(2, np.random.default_rng(0), objects=0)
    assert empty.boxes.shape == (2, 0, 4)
    assert not empty.instances.any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"count": -1}, "count must be an integer >= 0, got -1"),
        ({"count": 1.0}, "count must be an integer >= 0, got 1.0"),
        ({"rng": 3}, "rng must be a numpy.random.Generator, got 3"),
        ({"size": 3}, "size must be an integer >= 4, got 3"),
        ({"size": (8, 8, 3)}, r"size must be one integer or 2 of them, got \(8, 8, 3\)"),
        ({"objects": (3, 1)}, r"objects must be \(fewest, most\) in order .* got \(3, 1\)"),
        ({"objects": 256}, "objects must be .* at most 255, got 256"),
        ({"objects": (0.5, 1)}, r"objects\[0\] must be an integer >= 0, got 0.5"),
        ({"shapes": ["heart"]}, r"shapes must be different ones of circle, .* got \['heart'\]"),
        ({"shapes": ["circle", "circle"]}, "shapes must be different ones"),
        ({"shapes": []}, r"shapes must be different ones .* got \[\]"),
        ({"shapes": 3}, "shapes must be different ones .* got 3"),
        ({"scale": (0.3, 0.2)}, r"scale must be in order .* got \(0.3, 0.2\)"),
        ({"scale": (0.2, 0.6)}, r"scale\[1\] must be a number from 0 to 0.5, got 0.6"),
        ({"scale": (0.01, 0.2)}, "radii of at least 2 pixels .0.0312 of 64 pixels"),
        ({"scale": 0.2}, r"scale must be \(smallest, largest\), got 0.2"),
        ({"max_hidden": 1.5}, "max_hidden must be a number from 0 to 1, got 1.5"),
        ({"max_hidden": True}, "max_hidden must be a number from 0 to 1, got True"),
        ({"colors": [[0, 0, 2.0]]}, r"colors must hold values in \[0, 1\], got 0.0 to 2.0"),
        ({"colors": [0, 0, 1]}, r"colors must have the shape \(m, 3\), got \(3,\)"),
        ({"colors": np.zeros((0, 3))}, "colors must hold values .* got no values"),
        ({"colors": ["red"]}, "colors must hold real numbers, got dtype <U3"),
        ({"background": "sky"}, "background must be 'plain', 'gradient' or an array, got 'sky'"),
        ({"background": [0, np.nan, 0]}, r"background must hold values in \[0, 1\]"),
        ({"background": np.zeros((5, 5, 3))}, r"broadcast to the images, \(2, 64, 64, 3\)"),
        ({"clutter": -1}, "clutter must be an integer >= 0, got -1"),
        ({"clutter": (4, 2)}, r"clutter must be \(fewest, most\) in order"),
        ({"noise": -0.1}, "noise must be a number from 0 to inf, got -0.1"),
        ({"noise": float("nan")}, "noise must be a number from 0 to inf, got nan"),
        ({"rotate": "no"}, "rotate must be True or False, got 'no'"),
        ({"antialias": 2}, "antialias must be True or False, got 2"),
    ],
)
def test_scene_errors_come_before_any_drawing(arguments, message):
    arguments = {"count": 2, "rng": np.random.default_rng(0), **arguments}
    rng = arguments["rng"]
    with pytest.raises(ValueError, match=message):
        draw_scenes(**arguments)
    if isinstance(rng, np.random.Generator):
        assert rng.random() == np.random.default_rng(0).random()
