"""Run-length encoding (RLE) of masks, as COCO stores them.

A mask (height, width) is read column by column: down the first column, then the second, ...
Counts are the lengths of runs, in turn outside and inside; the first run is outside and may be 0.
An encoded mask is a dictionary: ``"size"`` [height, width] and ``"counts"``, a list or a string.
In the string a count is replaced, from the fourth on, by its difference to the count two before,
    then written in groups of five bits, the lowest first: bit 32 says that more groups follow, 16
    of the last group is the sign, and 48 is added to make a printable character.

Source: T.-Y. Lin et al., "Microsoft COCO: Common objects in context", 2014, arXiv:1405.0312, and
its code, pycocotools. Derived in chapter 14-segmentation.
"""

from __future__ import annotations

import numpy as np

from cvlab._validate import integer, integers
from cvlab.masks import check_masks


def encode_rle(mask: np.ndarray, *, compress: bool = True) -> dict:
    """Return a mask as run lengths.

    Parameters
    ----------
    mask : array (height, width)
    compress : bool
        Write the counts as a string, as in COCO's results, or as a list, as for its crowds.

    Returns
    -------
    dict
        ``{"size": [height, width], "counts": str or list of int}``. (pycocotools has bytes, which
        JSON cannot hold; it reads strings as well.)

    Raises
    ------
    ValueError
        If `mask` is no mask.

    Examples
    --------
    >>> encode_rle([[0, 1], [1, 1]], compress=False)
    {'size': [2, 2], 'counts': [1, 3]}
    >>> encode_rle([[0, 1], [1, 1]])
    {'size': [2, 2], 'counts': '13'}
    """
    mask = check_masks(mask, "mask", ndim=2)
    pixels = mask.ravel(order="F")
    changes = np.flatnonzero(np.diff(pixels, prepend=False))  # the first run is outside
    counts = np.diff(changes, prepend=0, append=pixels.size).tolist()
    return {"size": list(mask.shape), "counts": compress_counts(counts) if compress else counts}


def decode_rle(rle: dict) -> np.ndarray:
    """Return the mask that run lengths stand for.

    Parameters
    ----------
    rle : dict
        As :func:`encode_rle` returns it; a string of counts may also be bytes.

    Returns
    -------
    bool array (height, width)

    Raises
    ------
    ValueError
        If `rle` lacks a part, a count is not an integer >= 0, the counts do not add up to the
        size, or the string is broken.

    Examples
    --------
    >>> decode_rle({"size": [2, 3], "counts": [1, 3, 2]}).astype(int)
    array([[0, 1, 0],
           [1, 1, 0]])
    """
    if not isinstance(rle, dict) or not {"size", "counts"} <= set(rle):
        raise ValueError(f"rle must be a dictionary with 'size' and 'counts', got {rle!r}")
    height, width = integers(rle["size"], "size", 0)
    counts = rle["counts"]
    counts = decompress_counts(counts) if isinstance(counts, (str, bytes)) else list(counts)
    counts = [integer(count, f"counts[{i}]", 0) for i, count in enumerate(counts)]
    if sum(counts) != height * width:
        raise ValueError(
            f"counts must add up to {height} x {width} = {height * width} pixels, got {sum(counts)}"
        )
    inside = np.arange(len(counts)) % 2 == 1
    return np.repeat(inside, counts).reshape((height, width), order="F")


def compress_counts(counts: list[int]) -> str:
    """Return counts of runs as COCO's string.

    Parameters
    ----------
    counts : sequence of int
        At least 0 each.

    Raises
    ------
    ValueError
        If a count is not an integer >= 0.

    Examples
    --------
    >>> compress_counts([5, 3, 100, 3, 98])
    '53T30N'
    """
    counts = [integer(count, f"counts[{i}]", 0) for i, count in enumerate(counts)]
    characters = []
    for i, count in enumerate(counts):
        value = count - counts[i - 2] if i > 2 else count
        more = True
        while more:
            group, value = value & 31, value >> 5  # of two's complement: -1 >> 5 is -1
            more = value != (-1 if group & 16 else 0)
            characters.append(chr(48 + group + 32 * more))
    return "".join(characters)


def decompress_counts(string: str | bytes) -> list[int]:
    """Return the counts of runs that COCO's string stands for.

    The inverse of :func:`compress_counts`.

    Raises
    ------
    ValueError
        If a character is not one of the 64 from "0" to "o", or the string ends within a count.

    Examples
    --------
    >>> decompress_counts("53T30N")
    [5, 3, 100, 3, 98]
    """
    string = string.decode("latin-1") if isinstance(string, bytes) else string
    counts, value, shift = [], 0, 0
    for i, character in enumerate(string):
        group = ord(character) - 48
        if not 0 <= group < 64:
            raise ValueError(
                f"string must hold characters from '0' to 'o', got {character!r} at {i}"
            )
        value |= (group & 31) << shift
        shift += 5
        if group & 32:
            continue
        if group & 16:
            value -= 1 << shift  # the sign
        counts.append(value + counts[-2] if len(counts) > 2 else value)
        value, shift = 0, 0
    if shift:
        raise ValueError(f"string must not end within a count, got {string!r}")
    return counts
