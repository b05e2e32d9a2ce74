"""A gallery of named kernels: filters that people designed before networks learned them.

A kernel is a 2-D array (height, width), float32, to be used as *cross-correlation* (`conv2d`), so
    it shows the pattern that it looks for. Rows go down: north is up in the picture.
A compass name says where the image must become brighter for a positive response: "sobel east"
    finds left edges of bright things. Responses are not normalized unless a blur.
`depthwise_kernel` and `filter_bank` give the kernels the axes that convolutions expect.

Sources: R. C. Gonzalez and R. E. Woods, "Digital Image Processing", 4th ed., 2018, chapters 3 and
10; I. Sobel and G. Feldman, 1968; J. M. S. Prewitt, "Object enhancement and extraction", 1970.
Derived in chapter 02-convolution.
"""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real

import numpy as np

from cvlab._validate import float_array, integer

COMPASS = ("east", "northeast", "north", "northwest", "west", "southwest", "south", "southeast")
LINES = ("vertical", "horizontal", "diagonal", "antidiagonal")
_RING = ((1, 2), (0, 2), (0, 1), (0, 0), (1, 0), (2, 0), (2, 1), (2, 2))  # places, in that order

_FIXED = {
    "identity": [[0, 0, 0], [0, 1, 0], [0, 0, 0]],
    "laplacian 4": [[0, 1, 0], [1, -4, 1], [0, 1, 0]],
    "laplacian 8": [[1, 1, 1], [1, -8, 1], [1, 1, 1]],
    "emboss": [[-2, -1, 0], [-1, 1, 1], [0, 1, 2]],
    "sharpen": [[0, -1, 0], [-1, 5, -1], [0, -1, 0]],
}


def kernel_names() -> list[str]:
    """Return the names that :func:`kernel` knows.

    Examples
    --------
    >>> [name for name in kernel_names() if name.startswith("l")]
    ['laplacian 4', 'laplacian 8', 'line vertical', 'line horizontal', 'line diagonal',
    'line antidiagonal']
    """
    compass = [f"{family} {direction}" for family in ("sobel", "prewitt") for direction in COMPASS]
    lines = [f"line {direction}" for direction in LINES]
    return [*_FIXED, "box blur", "gaussian blur", *compass, *lines]


def kernel(name: str) -> np.ndarray:
    """Return a kernel of the gallery by its name.

    Parameters
    ----------
    name : str
        One of :func:`kernel_names`: "identity", "sharpen", "emboss", "laplacian 4" (neighbours)
        and "laplacian 8", "box blur" (3 x 3), "gaussian blur" (5 x 5, sigma 1), "sobel east" and
        "prewitt east" with eight directions each, "line vertical" (7 x 7) with four.

    Returns
    -------
    array (height, width), float32

    Raises
    ------
    ValueError
        If there is no such kernel.

    Examples
    --------
    >>> kernel("sobel east")
    array([[-1.,  0.,  1.],
           [-2.,  0.,  2.],
           [-1.,  0.,  1.]], dtype=float32)
    """
    if name not in kernel_names():
        raise ValueError(f"name must be one of {kernel_names()}, got {name!r}")
    if name in _FIXED:
        return np.array(_FIXED[name], np.float32)
    if name == "box blur":
        return box_kernel(3)
    if name == "gaussian blur":
        return gaussian_kernel(1.0, size=5)
    family, direction = name.split()
    if family == "line":
        return line_kernel(direction)
    return compass_kernel(direction, weight=2.0 if family == "sobel" else 1.0)


def compass_kernel(direction: str, weight: float = 2.0) -> np.ndarray:
    """Return the 3 x 3 kernel that responds where the image becomes brighter in a direction.

    Parameters
    ----------
    direction : str
        One of "east", "northeast", "north", ... "southeast".
    weight : float
        Of the two places straight ahead and straight behind, against 1 for those beside them:
        2 is Sobel's kernel, 1 Prewitt's. Turning by 45 degrees moves the eight outer weights one
        place along the ring.

    Returns
    -------
    array (3, 3), float32

    Raises
    ------
    ValueError
        If the direction is unknown.

    Examples
    --------
    >>> compass_kernel("northeast")
    array([[ 0.,  1.,  2.],
           [-1.,  0.,  1.],
           [-2., -1.,  0.]], dtype=float32)
    """
    if direction not in COMPASS:
        raise ValueError(f"direction must be one of {COMPASS}, got {direction!r}")
    ahead = COMPASS.index(direction)
    result = np.zeros((3, 3), np.float32)
    for turn, value in ((-1, 1.0), (0, weight), (1, 1.0)):
        result[_RING[(ahead + turn) % 8]] = value
        result[_RING[(ahead + 4 + turn) % 8]] = -value
    return result


def box_kernel(size: int) -> np.ndarray:
    """Return the mean of a square of `size` pixels a side.

    Parameters
    ----------
    size : int

    Returns
    -------
    array (size, size), float32

    Raises
    ------
    ValueError
        If `size` is not an integer above 0.

    Examples
    --------
    >>> box_kernel(2)
    array([[0.25, 0.25],
           [0.25, 0.25]], dtype=float32)
    """
    size = integer(size, "size", 1)
    return np.full((size, size), 1 / size**2, np.float32)


def gaussian_kernel(sigma: float, size: int | None = None) -> np.ndarray:
    """Return a Gaussian blur: weights exp(-distance**2 / (2 sigma**2)), of sum 1.

    Parameters
    ----------
    sigma : float
        Standard deviation in pixels, above 0.
    size : int, optional
        Pixels a side; 2 ceil(3 sigma) + 1 if not given, so that what is cut off does not matter.

    Returns
    -------
    array (size, size), float32

    Raises
    ------
    ValueError
        If `sigma` is not above 0 or `size` not an integer above 0.

    Examples
    --------
    >>> gaussian_kernel(1.0, size=3).round(3)
    array([[0.075, 0.124, 0.075],
           [0.124, 0.204, 0.124],
           [0.075, 0.124, 0.075]], dtype=float32)
    """
    if not isinstance(sigma, Real) or not 0 < sigma < np.inf:
        raise ValueError(f"sigma must be above 0 and finite, got {sigma!r}")
    size = 2 * int(np.ceil(3 * sigma)) + 1 if size is None else integer(size, "size", 1)
    distance = np.arange(size) - (size - 1) / 2
    weights = np.exp(-(distance**2) / (2 * sigma**2))
    weights /= weights.sum()
    return np.outer(weights, weights).astype(np.float32)


def line_kernel(direction: str, size: int = 7) -> np.ndarray:
    """Return a kernel of zeros with a line of ones through its centre.

    Parameters
    ----------
    direction : {"vertical", "horizontal", "diagonal", "antidiagonal"}
        The diagonal runs down to the right, the antidiagonal up to the right.
    size : int
        Odd number of pixels a side.

    Returns
    -------
    array (size, size), float32

    Raises
    ------
    ValueError
        If the direction is unknown or `size` not odd.

    Examples
    --------
    >>> line_kernel("vertical", size=3)
    array([[0., 1., 0.],
           [0., 1., 0.],
           [0., 1., 0.]], dtype=float32)
    """
    if direction not in LINES:
        raise ValueError(f"direction must be one of {LINES}, got {direction!r}")
    if integer(size, "size", 1) % 2 == 0:
        raise ValueError(f"size must be odd, so that a line has a middle, got {size}")
    diagonal = np.eye(size, dtype=np.float32)
    if direction == "diagonal":
        return diagonal
    if direction == "antidiagonal":
        return diagonal[:, ::-1].copy()
    vertical = np.zeros((size, size), np.float32)
    vertical[:, size // 2] = 1
    return vertical if direction == "vertical" else vertical.T.copy()


def depthwise_kernel(kernel: np.ndarray, channels: int) -> np.ndarray:
    """Return the kernel for `depthwise_conv2d` that filters each channel by itself.

    Parameters
    ----------
    kernel : array (height, width)
    channels : int

    Returns
    -------
    array (height, width, channels, 1)
        The same kernel for every channel: a blurred colour image stays a colour image.

    Raises
    ------
    ValueError
        If `kernel` has not 2 axes or `channels` is below 1.

    Examples
    --------
    >>> depthwise_kernel(box_kernel(3), channels=3).shape
    (3, 3, 3, 1)
    """
    kernel = float_array(kernel, "kernel", 2, "(height, width)")
    channels = integer(channels, "channels", 1)
    return np.repeat(kernel[:, :, None, None], channels, axis=2)


def filter_bank(kernels: Sequence[np.ndarray], channels: int) -> np.ndarray:
    """Return the kernel for `conv2d` that applies a stack of filters, one feature map each.

    Parameters
    ----------
    kernels : sequence of array (height, width)
        All of the same shape.
    channels : int
        Of the image. Each filter is repeated over the channels: its responses to them are added.

    Returns
    -------
    array (height, width, channels, number of filters)

    Raises
    ------
    ValueError
        If the kernels are not 2-D arrays of one shape, or `channels` is below 1.

    Examples
    --------
    >>> lines = filter_bank([line_kernel("vertical"), line_kernel("horizontal")], channels=3)
    >>> lines.shape
    (7, 7, 3, 2)
    """
    arrays = [float_array(k, f"kernels[{i}]", 2, "(height, width)") for i, k in enumerate(kernels)]
    shapes = {a.shape for a in arrays}
    if len(shapes) != 1:
        raise ValueError(
            f"kernels must be one or more of the same shape, got shapes {sorted(shapes)}"
        )
    stack = np.stack(arrays, axis=-1)
    return np.repeat(stack[:, :, None], integer(channels, "channels", 1), axis=2)
