"""Drawn scenes, 64 x 64 pixels, against the same made with scikit-image's and Pillow's drawing.

The peers follow the same rules (1 to 3 circles, squares and triangles on a plain background, at
most 30 % of an object hidden; masks, boxes and labels) with one library call for each outline.
They do not smooth outlines, so antialiasing stands on a line of its own.
"""

import sys
from math import cos, sin, tau

from _ratio import compare, report  # before NumPy: it sets the number of threads

# isort: split
import numpy as np
from PIL import Image, ImageDraw
from skimage.draw import disk, polygon

from cvlab.data import draw_scenes

SIZE = 64
COUNT = 100  # scenes in one call


def corners(x, y, radius, angle, sides):
    turns = [angle + tau * k / sides for k in range(sides)]
    return [(x + radius * cos(t), y + radius * sin(t)) for t in turns]


def skimage_mask(x, y, radius, angle, sides):
    mask = np.zeros((SIZE, SIZE), dtype=bool)
    if sides == 0:
        mask[disk((y - 0.5, x - 0.5), radius, shape=mask.shape)] = True
    else:
        columns, rows = np.transpose(corners(x - 0.5, y - 0.5, radius, angle, sides))
        mask[polygon(rows, columns, mask.shape)] = True
    return mask


def pillow_mask(x, y, radius, angle, sides):
    picture = Image.new("L", (SIZE, SIZE))
    pen = ImageDraw.Draw(picture)
    if sides == 0:
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=1)
    else:
        pen.polygon(corners(x, y, radius, angle, sides), fill=1)
    return np.asarray(picture).astype(bool)


def draw_with(mask_of, count, rng):
    """Draw scenes object by object with masks from `mask_of`."""
    images = np.empty((count, SIZE, SIZE, 3), dtype=np.float32)
    instances = np.zeros((count, SIZE, SIZE), dtype=np.uint8)
    semantic = np.zeros_like(instances)
    boxes = np.zeros((count, 3, 4), dtype=np.float32)
    labels = np.full((count, 3), -1)
    for image, objects, classes, box, label in zip(
        images, instances, semantic, boxes, labels, strict=True
    ):
        color = rng.random(3)
        image[:] = color
        areas = []
        for _ in range(rng.integers(1, 4)):
            kind, radius, angle = rng.integers(3), rng.uniform(7.7, 16), rng.uniform(0, tau)
            paint = (color + rng.uniform(0.3, 0.7, 3)) % 1
            for _ in range(20):
                x, y = radius + rng.random(2) * (SIZE - 2 * radius)
                mask = mask_of(x, y, radius, angle, (0, 4, 3)[kind])
                shown = np.bincount(objects[~mask], minlength=4)[1 : len(areas) + 1]
                if np.all(shown >= 0.7 * np.array(areas)) and np.all(shown > 0):
                    label[len(areas)] = kind
                    areas.append(mask.sum())
                    image[mask] = paint
                    objects[mask] = len(areas)
                    classes[mask] = kind + 1
                    break
        for k in range(len(areas)):
            rows, columns = np.nonzero(objects == k + 1)
            box[k] = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
    return images, semantic, instances, boxes, labels


def main() -> int:
    def ours(**arguments):
        return lambda: draw_scenes(COUNT, np.random.default_rng(0), **arguments)

    def peer(mask_of):
        return lambda: draw_with(mask_of, COUNT, np.random.default_rng(0))

    rows = [
        compare("sharp / skimage.draw", ours(antialias=False), peer(skimage_mask), 0.9),
        compare("antialiased / skimage.draw", ours(), peer(skimage_mask), 0.9),
        compare("sharp / PIL.ImageDraw", ours(antialias=False), peer(pillow_mask), 1.2),
        compare("antialiased / PIL.ImageDraw", ours(), peer(pillow_mask), 1.2),
    ]
    status = report(f"{COUNT} scenes: cvlab / peer", rows)
    print(f"\n{1e3 * COUNT / rows[1].ours_ms:,.0f} antialiased scenes a second on one core")
    return status


if __name__ == "__main__":
    sys.exit(main())
