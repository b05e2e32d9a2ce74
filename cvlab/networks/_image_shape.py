"""The check of `input_shape` that the networks share: same words, same errors."""

from __future__ import annotations

from cvlab._validate import integer

Shape = tuple[int | None, int | None, int]


def image_shape(input_shape, minimum: int, reason: str, open_reason: str = "") -> Shape:
    """Return (height, width, channels) if a network can take images of that shape.

    Parameters
    ----------
    input_shape : sequence
        Height and width may be None, for any size, unless there is an `open_reason`.
    minimum : int
        Smallest height and width.
    reason, open_reason : str
        Why, for the reader.

    Raises
    ------
    ValueError
        If the network cannot take such images; it says why.

    Examples
    --------
    >>> image_shape((None, 48, 3), 32, "five strides of 2 divide it by 32")
    (None, 48, 3)
    >>> image_shape((16, 48, 3), 32, "five strides of 2 divide it by 32")
    Traceback (most recent call last):
    ...
    ValueError: input_shape's height must be at least 32, got 16: five strides of 2 divide it by 32
    """
    if not isinstance(input_shape, (tuple, list)) or len(input_shape) != 3:
        raise ValueError(f"input_shape must be (height, width, channels), got {input_shape!r}")
    for side, length in zip(("height", "width"), input_shape[:2], strict=True):
        if length is None and open_reason:
            raise ValueError(f"input_shape's {side} must be a number, got None: {open_reason}")
        if length is not None and integer(length, f"input_shape's {side}", minimum=1) < minimum:
            raise ValueError(
                f"input_shape's {side} must be at least {minimum}, got {length}: {reason}"
            )
    integer(input_shape[2], "input_shape's channels", minimum=1)
    return tuple(input_shape)
