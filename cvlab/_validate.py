"""Checks of arguments that every module shares: same words, same errors.

Each check returns the cleaned value or raises a `ValueError` that names the argument,
what was expected and what came. Nothing is computed before the checks have passed.
"""

from __future__ import annotations

import numpy as np


def float_array(value, name: str, ndim: int | None = None, layout: str = "") -> np.ndarray:
    """Return `value` as a real floating array of rank `ndim`.

    float32 and float64 keep their type; smaller types (float16, 8- and 16-bit integers,
    booleans) become float32 and wider integers float64, which holds integers exactly up to 2**53
    in size; beyond that they are rounded.

    Raises
    ------
    ValueError
        If the values are not real numbers or the rank differs.

    Examples
    --------
    >>> float_array(np.array([1, 2], dtype=np.uint8), "x").dtype
    dtype('float32')
    >>> float_array([[1.0]], "x", ndim=4, layout="(batch, height, width, channels)")
    Traceback (most recent call last):
    ...
    ValueError: x must have 4 axes (batch, height, width, channels), got shape (1, 1)
    """
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise ValueError(f"{name} must hold real numbers, got dtype {array.dtype}")
    if ndim is not None and array.ndim != ndim:
        expected = f"{ndim} axes {layout}".strip()
        raise ValueError(f"{name} must have {expected}, got shape {array.shape}")
    return array.astype(np.result_type(array.dtype, np.float32), copy=False)


def integer(value, name: str, minimum: int) -> int:
    """Return `value` as an int that is at least `minimum`.

    Examples
    --------
    >>> integer(3, "stride", minimum=1)
    3
    >>> integer(0, "stride", minimum=1)
    Traceback (most recent call last):
    ...
    ValueError: stride must be an integer >= 1, got 0
    """
    is_integer = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not is_integer or value < minimum:
        raise ValueError(f"{name} must be an integer >= {minimum}, got {value!r}")
    return int(value)


def integers(value, name: str, minimum: int, length: int = 2) -> tuple[int, ...]:
    """Return one integer, or a sequence of `length` of them, as a tuple.

    Examples
    --------
    >>> integers(2, "stride", minimum=1)
    (2, 2)
    >>> integers((1, 2), "stride", minimum=1)
    (1, 2)
    """
    if isinstance(value, (int, np.integer, bool)):
        return (integer(value, name, minimum),) * length
    values = tuple(value) if isinstance(value, (tuple, list, np.ndarray)) else ()
    if len(values) != length:
        raise ValueError(f"{name} must be one integer or {length} of them, got {value!r}")
    return tuple(integer(v, f"{name}[{i}]", minimum) for i, v in enumerate(values))


def refuse(wrong: np.ndarray, array: np.ndarray, expected: str) -> None:
    """Raise an error that shows the first entry of `array` marked in the mask `wrong`, if any is.

    Examples
    --------
    >>> scores = np.array([0.5, np.nan])
    >>> refuse(np.isnan(scores), scores, "scores must be finite")
    Traceback (most recent call last):
    ...
    ValueError: scores must be finite, got nan at index 1
    """
    if wrong.any():
        index = tuple(np.argwhere(wrong)[0].tolist())
        place = f" at index {', '.join(map(str, index))}" if index else ""
        raise ValueError(f"{expected}, got {array[index].tolist()}{place}")
