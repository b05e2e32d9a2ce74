"""Draw the picture of the first page and the card shown where the book is shared.

One photograph, and what four kernels make of it.

    python -m tools.cover
"""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import FancyBboxPatch

from cvlab.convolution import conv2d
from cvlab.data import photograph

STATIC = Path(__file__).resolve().parent.parent / "book" / "_static"
SOBEL = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])
KERNELS = (
    ("as it is", np.array([[0, 0, 0], [0, 1, 0], [0, 0, 0]])),
    ("emboss", np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]])),
    ("upright edges", SOBEL),
    ("level edges", SOBEL.T),
)
TEMPLE = 205  # column of the middle of the temple
INK, ORANGE = "#12344d", "#e69f00"


def filtered(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Apply a kernel to each colour channel on its own."""
    kernels = np.zeros((3, 3, 3, 3))
    for channel in range(3):
        kernels[:, :, channel, channel] = kernel
    return conv2d(image, kernels)


def as_picture(name: str, result: np.ndarray) -> np.ndarray:
    """Return colours to show: the result itself, or edges in blue and red on white."""
    if not name.endswith("edges"):
        return np.clip(result, 0, 1)
    signed = np.clip(result.mean(axis=2) / 1.2, -1, 1)
    return matplotlib.colormaps["RdBu_r"](0.5 + 0.5 * signed)[..., :3]


def draw(path: Path, width: int, height: int, title: str = "") -> None:
    """Save the picture at a size in pixels, with the kernels on it and perhaps a title."""
    image = photograph("temple").astype(float) / 255
    panel = width // len(KERNELS)
    scale = height / image.shape[1]
    left = round(TEMPLE - panel / scale / 2)
    columns = slice(left, left + round(panel / scale))

    figure = plt.figure(figsize=(width / 100, height / 100), dpi=100)
    axes = figure.add_axes((0, 0, 1, 1))
    for i, (name, kernel) in enumerate(KERNELS):
        picture = as_picture(name, filtered(image, kernel)[0])[:, columns]
        extent = (i * panel, (i + 1) * panel, height, 0)
        axes.imshow(picture, extent=extent, interpolation="bicubic")
        if i:
            axes.axvline(i * panel, color="white", linewidth=3)
        draw_kernel(axes, kernel, (i + 0.5) * panel, height - 0.29 * panel, 0.38 * panel)
    if title:
        axes.text(
            width / 2, 0.12 * height, title, size=41, weight="bold", color="white",
            ha="center", va="center", family="DejaVu Serif",
            bbox={"facecolor": INK, "edgecolor": "none", "pad": 18},
        )  # fmt: skip
    axes.axis("off")
    axes.set(xlim=(0, width), ylim=(height, 0))
    figure.savefig(path, dpi=100, pil_kwargs={"quality": 82, "progressive": True})
    plt.close(figure)


def draw_kernel(axes, kernel: np.ndarray, x: float, y: float, side: float) -> None:
    """Draw the nine numbers of a kernel on a card centred at (x, y)."""
    card = FancyBboxPatch(
        (x - side / 2, y - side / 2), side, side, facecolor=INK, edgecolor=ORANGE,
        linewidth=side / 32, boxstyle=f"round,pad={side * 0.06},rounding_size={side * 0.08}",
    )  # fmt: skip
    axes.add_patch(card)
    cell = side / 3
    for row, column in np.ndindex(3, 3):
        value = int(kernel[row, column])
        axes.text(
            x + (column - 1) * cell, y + (row - 1) * cell, str(value).replace("-", "−"),
            size=cell * 0.40, color="white" if value else "#8fb3cc", weight="bold",
            ha="center", va="center_baseline",
        )  # fmt: skip


if __name__ == "__main__":
    draw(STATIC / "cover.jpg", 1600, 760)
    draw(STATIC / "social.jpg", 1200, 630, title="How Convolutional Networks See")
