"""The cells of chapter 09 that run where there is a connection, on made-up photographs."""

from pathlib import Path

import keras
import nbformat
import numpy as np
import tensorflow as tf
from PIL import Image

from cvlab.claims import claimed

CHAPTER = Path(__file__).parent.parent / "chapters" / "09-transfer-learning.ipynb"
KINDS = {"daisy": 633, "dandelion": 898, "roses": 641, "sunflowers": 699, "tulips": 799}


def cell_with(text):
    """Return the source of the code cell that holds a text."""
    cells = nbformat.read(CHAPTER, as_version=4).cells
    (source,) = (c.source for c in cells if c.cell_type == "code" and text in c.source)
    return source


def test_every_flower_is_in_one_of_three_parts(tmp_path, monkeypatch):
    """As many files as the real ones; each has a colour of its own, by which it is known."""
    number = 0
    for kind, count in KINDS.items():
        folder = tmp_path / "flower_photos" / kind
        folder.mkdir(parents=True)
        for _ in range(count):
            color = number % 64 * 4, number // 64 * 4, 0
            Image.new("RGB", (12, 8), color).save(folder / f"{number}.png")
            number += 1
    asked = []

    def get_file(name, url, extract):
        asked.append((name, url, extract))
        return str(tmp_path)

    monkeypatch.setattr(keras.utils, "get_file", get_file)
    names = {"keras": keras, "Path": Path}
    exec(cell_with("def load_flowers"), names)
    parts = names["load_flowers"]()
    assert asked[0][1].endswith("/flower_photos.tgz")

    last_of = np.cumsum(list(KINDS.values()))
    found = []
    for part in parts:
        found.append([])
        for images, labels in part:
            assert images.shape[1:] == (224, 224, 3)
            red, green, _ = np.rint(images[:, 112, 112].numpy() / 4).astype(int).T
            numbers = 64 * green + red
            np.testing.assert_array_equal(labels, np.searchsorted(last_of, numbers, side="right"))
            found[-1].extend(numbers)
    assert [len(numbers) for numbers in found] == [2753, 576, 341]
    assert sorted(np.concatenate(found)) == list(range(3670))


def test_the_recipe_runs_through_where_it_can(monkeypatch, capsys):
    """With a connection, a GPU, and two small blocks in the place of Xception."""
    shown = {}
    names = {"keras": keras, "layers": keras.layers, "applications": keras.applications}
    names |= {
        "np": np,
        "tf": tf,
        "claim": lambda key, **box: shown.update(box),
        "claimed": claimed,
        "online": lambda: True,
    }
    names |= {"block_7": 56, "first_of_7": "It is number 56."}  # found by cells before
    monkeypatch.setattr(keras.applications, "Xception", lambda **options: names["small"]())
    with monkeypatch.context() as patch:
        patch.setattr(tf.config, "list_physical_devices", lambda kind: [kind])
        exec(cell_with("RUN = not missing"), names)
    assert capsys.readouterr().out == "It runs.\n"
    for text in ("def fit(", "def flower_model", "def little_backbone"):
        exec(cell_with(text), names)
    keras.utils.set_random_seed(0)
    names["small"] = names["little_backbone"]

    def load_flowers():
        """Return flowers of five different greys."""
        labels = np.arange(40) % 5
        images = np.full((40, 224, 224, 3), 50.0 * labels[:, None, None, None] + 20)
        return [tf.data.Dataset.from_tensor_slices((images, labels)).batch(20)] * 3

    names["load_flowers"] = load_flowers
    exec(cell_with("training, validation, held_out = load_flowers()"), names)
    exec(cell_with('"C32",'), names)
    results = names["results"]
    assert list(results) == ["frozen", "fine-tuned", "fine-tuned, test photographs"]
    assert all(0 <= accuracy <= 1 for accuracy in results.values())
    assert f"fine-tuned {results['fine-tuned']:.3f}" in shown["measured"]
    assert (shown["verdict"] == "holds") == all(shown["holds"].values())
    assert len(shown["holds"]) == 3
