"""Figures: what is drawn where, with which scale and text, and how it reaches the notebook."""

import base64
import io
import itertools
import subprocess
import sys
import warnings

import matplotlib as mpl
import matplotlib.layout_engine
import numpy as np
import pytest
from PIL import Image

from cvlab.data import photographs
from cvlab.plot import (
    before_after,
    encoded,
    feature_maps,
    image_grid,
    kernel_grid,
    number_grid,
    show,
    use_style,
)
from cvlab.plot.output import _render

JPEG_HEADER = {"jfif", "jfif_version", "jfif_unit", "jfif_density", "progressive", "progression"}
ALT = "A white square on black, drawn for a test of the figures."


def pixels(figure):
    """Return what a reader sees, (height, width, 3) in 0..255."""
    return np.asarray(Image.open(io.BytesIO(encoded(figure)[1])).convert("RGB")).astype(int)


def color_at(figure, ax, row, column):
    """Return the colour in the upper left part of a cell, next to the number in its middle."""
    seen = pixels(figure)
    x, y = (
        ax.transData.transform((column - 0.38, row - 0.38)) / figure.dpi / figure.get_size_inches()
    )
    return seen[int((1 - y) * seen.shape[0]), int(x * seen.shape[1])]


def texts(ax):
    return [text.get_text() for text in ax.texts]


def assert_legible(figure):
    """Check that all text is at least 9 points and within the figure."""
    figure.draw_without_rendering()
    box = figure.bbox
    for text in figure.findobj(mpl.text.Text):
        if text.get_visible() and text.get_text():
            assert text.get_fontsize() >= 9, text
    tight = figure.get_tightbbox().transformed(figure.dpi_scale_trans)
    assert tight.x0 >= -1, tight
    assert tight.y0 >= -1, tight
    assert tight.x1 <= box.x1 + 1, tight
    assert tight.y1 <= box.y1 + 1, tight


# --- output ----------------------------------------------------------------------------------


def test_import_needs_numpy_only():
    code = """if True:
        import sys
        class Block:
            names = {"keras", "tensorflow", "matplotlib", "sklearn", "skimage", "PIL", "IPython"}
            def find_spec(self, name, path=None, target=None):
                if name.partition(".")[0] in self.names:
                    raise ImportError(name)
        sys.meta_path.insert(0, Block())
        import cvlab.plot
        """
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_show_publishes_the_figure_with_its_text():
    import nbformat
    from nbclient import NotebookClient

    source = f"""import numpy as np
import matplotlib.pyplot as plt
from cvlab.plot import image_grid, show, use_style
use_style()
show(image_grid(np.eye(4)[None, ..., None]), alt="  {ALT} ")
figure, ax = plt.subplots()
ax.plot([1, 2])
show(figure, "{ALT}")"""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    outputs = notebook.cells[0].outputs
    # Two outputs: the figure made with pyplot is not displayed a second time.
    assert [output.output_type for output in outputs] == ["display_data"] * 2
    for output in outputs:
        assert set(output.data) == {"image/png", "text/plain"}
        assert output.metadata == {"image/png": {"alt": ALT}}
        assert output.data["text/plain"] == ALT
        image = Image.open(io.BytesIO(base64.b64decode(output.data["image/png"])))
        assert image.width == 840


def test_show_outside_a_notebook_closes_the_figure(capsys):
    import matplotlib.pyplot as plt

    figure = plt.figure()
    kept = plt.figure()
    assert show(figure, ALT) is None
    assert plt.get_fignums() == [kept.number]
    plt.close(kept)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("figure", "alt", "message"),
    [
        (None, ALT, "figure must be a matplotlib Figure, got NoneType"),
        ("figure", "x" * 39, "alt must say in 40 characters or more .* got 'xxx"),
        ("figure", "x" + " " * 50, "alt must say in 40 characters or more"),
        ("figure", None, "alt must say in 40 characters or more .* got None"),
    ],
)
def test_show_errors(figure, alt, message):
    figure = figure and image_grid(np.zeros((1, 2, 2, 1)))
    with pytest.raises(ValueError, match=message):
        show(figure, alt)


def test_photographs_become_small_reproducible_jpegs():
    def photo_figure():
        return image_grid(photographs("temple", "flower"), titles=["temple", "flower"])

    figure = photo_figure()
    mime, picture = encoded(figure)
    assert mime == "image/jpeg"
    assert encoded(figure) == encoded(photo_figure()) == (mime, picture)
    assert 30_000 < len(picture) <= 120_000
    image = Image.open(io.BytesIO(picture))
    assert image.width == 840
    assert image.info.keys() <= JPEG_HEADER
    exact = np.asarray(_render(figure)).astype(float)
    assert np.abs(np.asarray(image) - exact).mean() < 4  # of 255


def test_lines_and_flat_areas_become_small_plain_pngs():
    mime, picture = encoded(number_grid(np.arange(25).reshape(5, 5)))
    assert mime == "image/png"
    assert len(picture) < 30_000
    image = Image.open(io.BytesIO(picture))
    assert image.mode == "P"
    assert image.info.keys() <= {"transparency"}  # no version, no date, no resolution


def test_png_of_a_few_colors_is_exact():
    image = np.array([[0, 1], [0.2, 0.6]])
    figure = image_grid([image])
    seen = pixels(figure)
    assert seen.shape[1] == 840
    for (row, column), value in np.ndenumerate(image):
        np.testing.assert_allclose(
            color_at(figure, figure.axes[0], row, column), 255 * value, atol=1
        )


def test_png_of_pyplot_figures_keeps_their_layout():
    import matplotlib.pyplot as plt

    with mpl.rc_context():
        use_style()
        figure, ax = plt.subplots()
        ax.plot([1, 2])
        ax.set(xlabel="position (pixels)", ylabel="value")
    plt.close(figure)
    engine = figure.get_layout_engine()
    assert encoded(figure)[1] == encoded(figure)[1]
    assert figure.get_layout_engine() is engine
    assert engine is not None


def test_png_leaves_figures_as_they_were():
    figure = image_grid(np.zeros((1, 2, 2, 1)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        encoded(figure)[1]
        encoded(figure)[1]
    # A constrained layout would move the panels at the next drawing.
    assert not isinstance(figure.get_layout_engine(), mpl.layout_engine.ConstrainedLayoutEngine)


def test_style_is_the_books_and_touches_nothing_else():
    own = {"font.size": 5, "image.cmap": "jet", "figure.facecolor": "red", "savefig.bbox": "tight"}
    with mpl.rc_context(own):
        before = dict(mpl.rcParams)
        figure = number_grid(np.eye(3))
        png = encoded(figure)[1]
        assert dict(mpl.rcParams) == before
        use_style()
        assert mpl.rcParams["font.size"] == 12
        assert mpl.rcParams["figure.facecolor"] == "white"
        assert encoded(number_grid(np.eye(3)))[1] == png


def test_figures_do_not_pile_up_in_pyplot():
    import matplotlib.pyplot as plt

    image_grid(np.zeros((1, 4, 4, 1)))
    number_grid(np.eye(2))
    assert plt.get_fignums() == []


# --- images ----------------------------------------------------------------------------------


def test_image_grid_draws_each_image_on_the_full_scale():
    images = np.array([0.0, 0.25, 0.5]).reshape(3, 1, 1, 1) * np.ones((3, 4, 6, 1))
    figure = image_grid(images, titles=["a", "b", "c"], columns=2)
    assert figure.get_size_inches()[0] == 7
    assert [ax.get_title() for ax in figure.axes] == ["a", "b", "c"]
    for ax, image in zip(figure.axes, images, strict=True):
        np.testing.assert_array_equal(ax.images[0].get_array(), image[..., 0])
        assert ax.images[0].get_clim() == (0, 1)
    np.testing.assert_allclose(color_at(figure, figure.axes[1], 2, 3), 64, atol=1)
    a, b, c = (ax.get_position() for ax in figure.axes)
    np.testing.assert_allclose((a.x0, a.y0), (c.x0, b.y0))
    assert a.x1 < b.x0
    assert c.y1 < a.y0
    height = a.height * figure.get_figheight()
    np.testing.assert_allclose(a.width * 7 / height, 6 / 4)  # the shape of the image
    assert_legible(figure)


def test_image_grid_takes_bytes_colors_and_lists():
    grey = np.full((5, 3), 128, dtype=np.uint8)
    color = np.zeros((4, 4, 3))
    color[..., 0] = 1
    figure = image_grid([grey, color, color[..., :1]])
    assert figure.axes[0].images[0].get_clim() == (0, 255)
    np.testing.assert_array_equal(color_at(figure, figure.axes[0], 1, 1), [128] * 3)
    np.testing.assert_array_equal(color_at(figure, figure.axes[1], 1, 1), [255, 0, 0])
    np.testing.assert_array_equal(color_at(figure, figure.axes[2], 1, 1), [255] * 3)


def test_image_grid_writes_numbers_on_their_pixels():
    image = np.array([[0.0, 0.25, 1.0], [0.5, 0.75, 0.125]])
    figure = image_grid([image], numbers=True)
    (ax,) = figure.axes
    written = {(t.get_position()[::-1]): (t.get_text(), t.get_color()) for t in ax.texts}
    assert written[0, 0] == ("0.00", "white")
    assert written[0, 2] == ("1.00", "#222222")
    assert written[1, 2] == ("0.12", "white")
    assert len(written) == 6
    np.testing.assert_allclose(color_at(figure, ax, 0, 1), 64, atol=1)
    assert_legible(figure)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: image_grid(np.full((1, 2, 2, 1), 1.5)), r"lie in \[0, 1\], got float64 from 1.5"),
        (
            lambda: image_grid(np.full((1, 2, 2, 1), -0.1)),
            r"lie in \[0, 1\], got float64 from -0.1",
        ),
        (lambda: image_grid(np.full((1, 2, 2, 1), 200)), r"uint8 or lie in \[0, 1\], got int64"),
        (lambda: image_grid(np.full((1, 2, 2, 1), np.nan)), "images must be finite, got nan"),
        (lambda: image_grid(np.zeros((1, 2, 2, 2))), r"images must have the shape .* \(2, 2, 2\)"),
        (lambda: image_grid(np.zeros((2, 2, 3))), r"list or have 4 axes .* got shape \(2, 2, 3\)"),
        (lambda: image_grid(np.zeros((0, 2, 2, 1))), r"got shape \(0, 2, 2, 1\)"),
        (lambda: image_grid([]), "images must hold at least one image, got none"),
        (lambda: image_grid([np.zeros((0, 3))]), r"images must not be empty, got shape \(0, 3\)"),
        (lambda: image_grid(np.zeros((2, 2, 2, 1)), titles=["a"]), "titles must have 2 entries"),
        (lambda: image_grid(np.zeros((2, 2, 2, 1)), columns=0), "columns must be an integer >= 1"),
        (
            lambda: image_grid(np.zeros((97, 2, 2, 1))),
            "at most 96 panels fit in one figure, got 97",
        ),
        (lambda: image_grid(np.zeros((1, 2, 2, 3)), numbers=True), "numbers .* grey images only"),
        (lambda: image_grid(np.zeros((1, 40, 40, 1)), numbers=True), "cannot be read in cells of"),
        (lambda: image_grid([np.array(["a"])]), "images must hold real numbers, got dtype <U1"),
    ],
)
def test_image_grid_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# --- feature maps and kernels ----------------------------------------------------------------


def test_feature_maps_share_a_scale_centred_at_zero():
    maps = np.stack([np.full((3, 5), -2.0), np.full((3, 5), 1.0)], axis=-1)
    figure = feature_maps(maps[np.newaxis], label="response (grey levels)")
    first, second, bar = figure.axes
    for ax, channel in ((first, 0), (second, 1)):
        assert ax.images[0].get_clim() == (-2, 2)
        np.testing.assert_array_equal(ax.images[0].get_array(), maps[..., channel])
        assert ax.get_title() == f"channel {channel}"
    assert bar.get_ylabel() == "response (grey levels)"
    assert first.get_position().y0 < bar.get_position().y0
    assert bar.get_position().y1 < first.get_position().y1
    red, _, blue = color_at(figure, second, 1, 1)
    assert red > blue + 40  # above zero
    red, _, blue = color_at(figure, first, 1, 1)
    assert blue > red + 40  # below zero
    assert_legible(figure)


def test_feature_maps_without_negatives_start_at_zero():
    maps = np.zeros((4, 4, 20))
    maps[0, 0, 3] = 5
    figure = feature_maps(maps)
    assert figure.axes[3].images[0].get_clim() == (0, 5)
    assert figure.axes[3].images[0].get_cmap().name == "viridis"
    assert figure.axes[3].get_title() == "3"
    assert len({round(ax.get_position().y0, 6) for ax in figure.axes[:20]}) == 3  # 8 to a row
    assert_legible(figure)


def test_feature_maps_of_zeros():
    assert feature_maps(np.zeros((2, 2, 1))).axes[0].images[0].get_clim() == (0, 1)


def test_a_few_extreme_values_do_not_wash_out_a_map():
    maps = np.ones((100, 100, 1))
    maps[0, :20] = -50
    figure = feature_maps(maps)
    assert figure.axes[0].images[0].get_clim() == (-1, 1)
    bar = figure.axes[0].images[0].colorbar
    assert bar.extend == "min"  # the arrow says so
    maps[0, :20] = -1
    assert feature_maps(maps).axes[0].images[0].colorbar.extend == "neither"


def test_kernel_grid_has_a_row_per_input_and_a_column_per_output():
    kernels = np.random.default_rng(0).normal(size=(3, 5, 2, 4))
    figure = kernel_grid(kernels, titles=list("abcd"))
    assert len(figure.axes) == 8
    for k, ax in enumerate(figure.axes):
        i, o = divmod(k, 4)
        array = ax.images[0].get_array()
        np.testing.assert_array_equal(array, kernels[:, :, i, o])
        limit = np.abs(kernels[..., o]).max()  # the inputs of a filter can be compared
        np.testing.assert_allclose(ax.images[0].get_clim(), (-limit, limit))
        assert ax.get_title() == ("abcd"[o] if i == 0 else "")
        assert ax.get_ylabel() == (f"input {i}" if o == 0 else "")
    rows = [round(ax.get_position().y0, 6) for ax in figure.axes]
    assert len(set(rows[:4])) == len(set(rows[4:])) == 1
    assert rows[0] > rows[4]
    assert_legible(figure)


def test_kernel_grid_scales_together_or_apart():
    kernels = [np.array([[1.0, -1.0]]), np.array([[0.0, 4.0]]), np.zeros((2, 2))]
    apart = [ax.images[0].get_clim() for ax in kernel_grid(kernels).axes]
    assert apart == [(-1, 1), (-4, 4), (-1, 1)]
    together = [ax.images[0].get_clim() for ax in kernel_grid(kernels, shared=True).axes]
    assert together == [(-4, 4)] * 3


def test_kernel_grid_colors_and_numbers():
    figure = kernel_grid([np.array([[1, -1], [0, 0.5]])])
    (ax,) = figure.axes
    assert texts(ax) == ["1.0", "−1.0", "0.0", "0.5"]
    red, _, blue = color_at(figure, ax, 0, 0)
    assert red > blue + 80
    red, _, blue = color_at(figure, ax, 0, 1)
    assert blue > red + 80
    zero = color_at(figure, ax, 1, 0)
    assert zero.min() > 240
    assert np.ptp(zero) < 5
    assert not texts(kernel_grid([np.eye(2)], numbers=False).axes[0])
    assert not texts(kernel_grid(np.ones((5, 5, 1, 32)), columns=8).axes[0])  # no room


def test_kernel_grid_in_color_has_zero_at_grey():
    kernels = np.zeros((2, 2, 3, 5))
    kernels[0, 0, 0, 1] = -3
    kernels[1, 1, 2, 1] = 1.5
    figure = kernel_grid(kernels, rgb=True)
    assert len(figure.axes) == 5
    drawn = figure.axes[1].images[0].get_array()
    np.testing.assert_allclose(drawn[0, 0], [0, 0.5, 0.5])
    np.testing.assert_allclose(drawn[1, 1], [0.5, 0.5, 0.75])
    np.testing.assert_allclose(figure.axes[0].images[0].get_array(), 0.5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: feature_maps(np.zeros((2, 4, 4, 1))), r"of one image, got \(2, 4, 4, 1\)"),
        (lambda: feature_maps(np.full((2, 2, 1), np.inf)), "maps must be finite, got inf"),
        (lambda: feature_maps(np.zeros((2, 2, 97))), "at most 96 panels"),
        (lambda: feature_maps(np.zeros((2, 2, 3)), titles=["a"]), "titles must have 3 entries"),
        (lambda: kernel_grid(np.zeros((3, 3))), r"\(height, width, in, out\), got \(3, 3\)"),
        (lambda: kernel_grid(np.zeros((3, 3, 1, 2)), rgb=True), r"\(height, width, 3, out\)"),
        (lambda: kernel_grid([np.zeros(3)]), r"list must have the shape \(height, width\)"),
        (lambda: kernel_grid([np.eye(3)], rgb=True), "no colour"),
        (lambda: kernel_grid(np.ones((3, 3, 3, 1)), rgb=True, numbers=True), "numbers cannot be"),
        (lambda: kernel_grid([np.ones((40, 40))], numbers=True), "cannot be read in cells"),
        (lambda: kernel_grid([np.eye(3)], titles=["a", "b"]), "titles must have 1 entries, got 2"),
    ],
)
def test_map_and_kernel_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# --- pairs -----------------------------------------------------------------------------------


def test_before_after_puts_pairs_in_rows():
    before = np.random.default_rng(0).random((2, 4, 6, 3))
    signed = np.linspace(-3, 1, 2 * 4 * 6).reshape(2, 4, 6, 1)
    positive = np.linspace(0, 9, 2 * 2 * 3).reshape(2, 2, 3)[..., np.newaxis]
    figure = before_after(
        before, 1 - before, signed, positive, titles=list("abcd"), rows=["first", "second"]
    )
    assert [ax.get_title() for ax in figure.axes] == ["a", "b", "c", "d", "", "", "", ""]
    assert [ax.get_ylabel() for ax in figure.axes[::4]] == ["first", "second"]
    for i in range(2):
        drawn = [ax.images[0] for ax in figure.axes[4 * i : 4 * i + 4]]
        np.testing.assert_allclose(drawn[0].get_array(), before[i])
        np.testing.assert_allclose(drawn[1].get_array(), 1 - before[i])
        np.testing.assert_array_equal(drawn[2].get_array(), signed[i, ..., 0])
        np.testing.assert_array_equal(drawn[3].get_array(), positive[i, ..., 0])
        limit = np.abs(signed[i]).max()
        np.testing.assert_allclose(drawn[2].get_clim(), (-limit, limit))
        assert drawn[3].get_cmap().name == "viridis"
    assert_legible(figure)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: before_after(x), "after must hold at least one batch, got none"),
        (lambda x: before_after(x, x[:1]), "as many entries as before, 2, got 1"),
        (lambda x: before_after(x - 2, x), r"before must be uint8 or lie in \[0, 1\]"),
        (lambda x: before_after(x, np.repeat(x, 3, -1) - 2), "after must have one channel"),
        (lambda x: before_after(x, x, titles=["a"]), "titles must have 2 entries, got 1"),
        (lambda x: before_after(x, x, rows=["a"]), "rows must have 2 entries, got 1"),
        (lambda x: before_after(x, x * np.nan), "after must be finite, got nan"),
    ],
)
def test_before_after_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call(np.zeros((2, 3, 3, 1)))


# --- numbers ---------------------------------------------------------------------------------


def frames(ax):
    return [patch for patch in ax.patches if isinstance(patch, mpl.patches.Rectangle)]


def test_number_grid_shows_a_step_of_a_sliding_product():
    x = np.arange(25).reshape(5, 5)
    output = np.full((3, 3), np.nan)
    output[1, 0] = 99
    figure = number_grid(
        [x, np.eye(3), output],
        titles=["input", "kernel", "output"],
        signs=["∗", "="],
        windows=[[(1, 0, 3, 3), (0, 2, 2, 3)], None, (1, 0, 1, 1)],
        indices=True,
    )
    left, middle, right = figure.axes
    assert [ax.get_title() for ax in figure.axes] == ["input", "kernel", "output"]
    assert texts(left) == [str(n) for n in range(25)]
    assert texts(right) == [""] * 3 + ["99"] + [""] * 5
    assert [text.get_text() for text in figure.texts] == ["∗", "="]
    first, second = frames(left)
    assert (first.get_xy(), first.get_width(), first.get_height()) == ((-0.5, 0.5), 3, 3)
    assert (second.get_xy(), second.get_width(), second.get_height()) == ((1.5, -0.5), 3, 2)
    assert first.get_edgecolor() != second.get_edgecolor()
    assert not frames(middle)
    (marked,) = frames(right)
    assert (marked.get_xy(), marked.get_edgecolor()) == ((-0.5, 0.5), first.get_edgecolor())
    assert [label.get_text() for label in left.get_xticklabels()] == list("01234")
    assert left.yaxis_inverted()
    np.testing.assert_array_equal(color_at(figure, right, 2, 2), 255)  # blank
    np.testing.assert_array_equal(color_at(figure, left, 4, 4), 255)  # the largest
    np.testing.assert_array_equal(color_at(figure, left, 0, 0), 0)
    assert_legible(figure)


def test_number_grid_cells_have_one_size_and_arrays_do_not_touch():
    arrays = [np.eye(5), np.ones((2, 3)), np.zeros(4), [[1]]]
    figure = number_grid(arrays, titles=["a", "a longer title", "b", "c"], signs=["+", "", "="])
    width, height = figure.get_size_inches()
    boxes = [ax.get_position() for ax in figure.axes]
    cells = [
        (box.width * width / np.atleast_2d(a).shape[1], box.height * height / len(np.atleast_2d(a)))
        for box, a in zip(boxes, arrays, strict=True)
    ]
    np.testing.assert_allclose(cells, cells[0][0])
    middles = [box.y0 + box.height / 2 for box in boxes]
    np.testing.assert_allclose(middles, middles[0])
    figure.draw_without_rendering()
    tight = [ax.get_tightbbox() for ax in figure.axes]
    for a, b in itertools.pairwise(tight):
        assert a.x1 < b.x0
    for sign, a, b in zip(figure.texts, (tight[0], tight[2]), (tight[1], tight[3]), strict=True):
        box = sign.get_window_extent()
        assert a.x1 < box.x0
        assert box.x1 < b.x0
    assert_legible(figure)


@pytest.mark.parametrize(
    ("array", "decimals", "expected"),
    [
        ([1, -2], None, ["1", "−2"]),
        ([1.0, -2.0], None, ["1", "−2"]),
        ([0.5, -2.0], None, ["0.5", "−2.0"]),
        ([1 / 3, 0.0], None, ["0.33", "0.00"]),
        ([-0.001, 2.0], None, ["0", "2"]),
        ([1 / 3, 0.0], 1, ["0.3", "0.0"]),
        ([0.1 + 0.2, np.nan], None, ["0.3", ""]),
        ([True, False], None, ["1", "0"]),
        (np.array([250, 7], dtype=np.uint8), None, ["250", "7"]),
    ],
)
def test_number_texts(array, decimals, expected):
    assert texts(number_grid(np.array(array), decimals=decimals).axes[0]) == expected


def test_number_grid_gives_long_titles_room():
    figure = number_grid([np.eye(1)] * 4, titles=["the first title", "the second", "b", "the end"])
    figure.draw_without_rendering()
    for a, b in itertools.pairwise(ax.title.get_window_extent() for ax in figure.axes):
        assert a.x1 < b.x0
    assert_legible(figure)


def test_number_grid_takes_a_window_as_wide_as_the_array():
    figure = number_grid(np.zeros((2, 3)), windows=[(1, 0, 1, 3)])
    (frame,) = frames(figure.axes[0])
    assert (frame.get_xy(), frame.get_width(), frame.get_height()) == ((-0.5, 0.5), 3, 1)
    with pytest.raises(ValueError, match=r"got \(0, 0, 3, 1\) for shape \(2, 3\)"):
        number_grid(np.zeros((2, 3)), windows=[(0, 0, 3, 1)])


def test_number_grid_of_nothing_computed_yet():
    figure = number_grid(np.full((2, 2), np.nan))
    assert texts(figure.axes[0]) == [""] * 4
    np.testing.assert_array_equal(color_at(figure, figure.axes[0], 0, 0), 255)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: number_grid([]), "arrays must hold at least one array, got none"),
        (lambda: number_grid(np.zeros((2, 2, 2))), r"one or two axes each, got shape \(2, 2, 2\)"),
        (lambda: number_grid(np.array([np.inf])), "arrays must be finite, got inf"),
        (lambda: number_grid(np.zeros((0, 2))), r"arrays must not be empty, got shape \(0, 2\)"),
        (lambda: number_grid([np.eye(2)], titles=["a", "b"]), "titles must have 1 entries"),
        (lambda: number_grid([np.eye(2)], signs=["="]), "signs must have 0 entries, got 1"),
        (lambda: number_grid([np.eye(2)], windows=[]), "windows must have 1 entries, got 0"),
        (lambda: number_grid([np.eye(2)], windows=[(0, 0, 3, 1)]), r"got \(0, 0, 3, 1\) for shape"),
        (lambda: number_grid([np.eye(2)], windows=[(0, 1, 1, 2)]), "within the array"),
        (lambda: number_grid([np.eye(2)], windows=[(0, 0, 0, 1)]), "within the array"),
        (lambda: number_grid([np.eye(2)], windows=[(0, 0, 1)]), "one integer or 4 of them"),
        (lambda: number_grid([np.eye(2)], windows=[(-1, 0, 1, 1)]), r"windows\[0\] must be"),
        (lambda: number_grid([np.eye(9)], windows=[[(0, 0, 1, 1)] * 4]), "at most 3 per array"),
        (lambda: number_grid(np.eye(2), decimals=-1), "decimals must be an integer >= 0, got -1"),
        (lambda: number_grid(np.full((3, 30), -0.25)), "up to 5 characters cannot be read"),
    ],
)
def test_number_grid_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()
