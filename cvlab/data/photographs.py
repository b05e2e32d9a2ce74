"""Photographs and face patches that come with scikit-learn and scikit-image.

Conventions
-----------
Layout   NHWC; a photograph is a batch of one, grey textures have one channel
Values   photographs uint8 in 0..255, as in the file; face patches float32 in [0, 1]
Crops    around the centre; an odd rest leaves the extra row or column after the crop
Origin   read from the installed packages: no connection, no copy in this package
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np

from cvlab._validate import integer, integers


class Credit(NamedTuple):
    """Who made an image, on what terms it may be used, and where it comes from."""

    author: str
    licence: str
    origin: str

    def __str__(self) -> str:
        """Return one line for a caption."""
        return f"{self.author} ({self.licence}), {self.origin}"


_SKLEARN = {"temple": "china.jpg", "flower": "flower.jpg"}
_SKIMAGE = {
    "cat": "chelsea",
    "astronaut": "astronaut",
    "coffee": "coffee",
    "motorcycle": "stereo_motorcycle",
    "brick": "brick",
    "grass": "grass",
    "gravel": "gravel",
}
# As stated by sklearn/datasets/images/README.txt and the docstrings of skimage.data. The first
# credits both pictures to one author; its links show that the flower is another person's.
_CREDITS = {
    "temple": Credit(
        "danielbuechele", "CC BY 2.0", "https://www.flickr.com/photos/danielbuechele/6061409035/"
    ),
    "flower": Credit(
        "vultilion", "CC BY 2.0", "https://www.flickr.com/photos/vultilion/6056698931/"
    ),
    "cat": Credit("Stefan van der Walt", "CC0 1.0", "skimage.data.chelsea"),
    "astronaut": Credit("NASA", "public domain", "https://flic.kr/p/r9qvLn"),
    "coffee": Credit("Rachel Michetti, Pikolo Espresso Bar", "CC0 1.0", "skimage.data.coffee"),
    "motorcycle": Credit(
        "Scharstein et al., Middlebury Stereo Datasets 2014",
        "no licence stated; cite the paper",
        "https://vision.middlebury.edu/stereo/data/scenes2014/",
    ),
    "brick": Credit("CC0Textures", "CC0 1.0", "https://cc0textures.com/view.php?tex=Bricks25"),
    "grass": Credit(
        "linolafett", "CC0 1.0", "https://www.deviantart.com/linolafett/art/Grass-01-434853879"
    ),
    "gravel": Credit("CC0Textures", "CC0 1.0", "https://cc0textures.com/view.php?tex=Gravel04"),
    "faces": Credit(
        "Huang et al., Labeled Faces in the Wild",
        "press photographs, for research; cite the paper",
        "http://vis-www.cs.umass.edu/lfw/",
    ),
    "digits": Credit(
        "E. Alpaydin and C. Kaynak",
        "CC BY 4.0",
        "https://archive.ics.uci.edu/dataset/80/optical+recognition+of+handwritten+digits",
    ),
}


def photograph_names() -> tuple[str, ...]:
    """Return the names that `photograph` knows.

    Examples
    --------
    >>> photograph_names()
    ('temple', 'flower', 'cat', 'astronaut', 'coffee', 'motorcycle', 'brick', 'grass', 'gravel')
    """
    return (*_SKLEARN, *_SKIMAGE)


def credit(name: str) -> Credit:
    """Return author, licence and origin of a photograph, of ``"faces"`` or of ``"digits"``.

    Raises
    ------
    ValueError
        If there is no image of that name.

    Examples
    --------
    >>> print(credit("temple"))
    danielbuechele (CC BY 2.0), https://www.flickr.com/photos/danielbuechele/6061409035/
    """
    _known(name, tuple(_CREDITS))
    return _CREDITS[name]


def photograph(name: str) -> np.ndarray:
    """Return one photograph as a batch of one image.

    Parameters
    ----------
    name : str
        One of `photograph_names`. ``"brick"``, ``"grass"`` and ``"gravel"`` are grey.

    Returns
    -------
    numpy.ndarray
        (1, height, width, channels), uint8, a new array at every call. Colour images have
        three channels (red, green, blue), grey ones have one.

    Raises
    ------
    ValueError
        If there is no photograph of that name.

    Examples
    --------
    >>> photograph("temple").shape
    (1, 427, 640, 3)
    >>> photograph("brick").shape
    (1, 512, 512, 1)
    """
    _known(name, photograph_names())
    return _read(name).copy()


def photographs(*names: str, size: int | tuple[int, int] | None = None) -> np.ndarray:
    """Return several photographs as one batch, cropped around their centres.

    Parameters
    ----------
    *names : str
        Names from `photograph_names`, all colour or all grey.
    size : int or (height, width), optional
        Size of the crops in pixels. None takes the whole images, which must be of one size.

    Returns
    -------
    numpy.ndarray
        (len(names), height, width, channels), uint8.

    Raises
    ------
    ValueError
        If a name is unknown, none is given, a photograph is smaller than `size`, the whole
        images differ in size, or colour and grey are mixed.

    Examples
    --------
    The two 70 x 120 crops on which the book's convolutions run:

    >>> crops = photographs("temple", "flower", size=(70, 120))
    >>> crops.shape
    (2, 70, 120, 3)
    """
    if not names:
        raise ValueError(f"names must hold at least one of {', '.join(photograph_names())}")
    for name in names:
        _known(name, photograph_names())
    images = [_read(name) for name in names]
    if len({image.shape[-1] for image in images}) > 1:
        channels = ", ".join(f"{n}: {i.shape[-1]}" for n, i in zip(names, images, strict=True))
        raise ValueError(
            f"names must be all colour or all grey, got channels {channels}; "
            "np.repeat(grey, 3, axis=-1) makes a colour image of a grey one"
        )
    if size is not None:
        images = [center_crop(image, *integers(size, "size", minimum=1)) for image in images]
    if len({image.shape for image in images}) > 1:
        shapes = ", ".join(f"{n}: {i.shape[1:3]}" for n, i in zip(names, images, strict=True))
        raise ValueError(f"size must be given for photographs of different sizes, got {shapes}")
    return np.concatenate(images)


def center_crop(images: np.ndarray, height: int, width: int) -> np.ndarray:
    """Cut a window of `height` x `width` pixels out of the middle of every image.

    The crop starts at row ``(H - height) // 2`` and column ``(W - width) // 2``, as that of
    `keras.layers.CenterCrop`, which however enlarges images that are too small.

    Parameters
    ----------
    images : numpy.ndarray
        (batch, H, W, channels), any type.
    height, width : int
        Size of the crop in pixels, at most that of the images.

    Returns
    -------
    numpy.ndarray
        (batch, height, width, channels), a view of `images`.

    Raises
    ------
    ValueError
        If `images` has not four axes or is smaller than the crop.

    Examples
    --------
    >>> center_crop(np.arange(5).reshape(1, 1, 5, 1), height=1, width=2).ravel()
    array([1, 2])
    """
    images = np.asarray(images)
    if images.ndim != 4:
        raise ValueError(
            f"images must have 4 axes (batch, height, width, channels), got shape {images.shape}"
        )
    height = integer(height, "height", minimum=1)
    width = integer(width, "width", minimum=1)
    if height > images.shape[1] or width > images.shape[2]:
        raise ValueError(
            f"height and width must be at most those of the images, {images.shape[1:3]}, "
            f"got {(height, width)}"
        )
    top = (images.shape[1] - height) // 2
    left = (images.shape[2] - width) // 2
    return images[:, top : top + height, left : left + width]


def faces() -> tuple[np.ndarray, np.ndarray]:
    """Return 100 faces and 100 patches without a face, and their labels.

    The subset of Labeled Faces in the Wild (Huang et al., 2007) that scikit-image carries.

    Returns
    -------
    patches : numpy.ndarray
        (200, 25, 25, 1), float32 in [0, 1]; the first 100 are faces.
    labels : numpy.ndarray
        (200,), int64; 1 for a face, 0 for none.

    Examples
    --------
    >>> patches, labels = faces()
    >>> patches.shape, int(labels.sum())
    ((200, 25, 25, 1), 100)
    """
    import skimage.data

    patches = skimage.data.lfw_subset()[..., np.newaxis].astype(np.float32)
    return patches, np.repeat(np.array([1, 0], dtype=np.int64), 100)


def _known(name: str, names: tuple[str, ...]) -> None:
    if name not in names:
        raise ValueError(f"name must be one of {', '.join(names)}, got {name!r}")


@cache
def _read(name: str) -> np.ndarray:
    """Read a photograph once; callers get copies."""
    if name in _SKLEARN:
        from sklearn.datasets import load_sample_image

        image = load_sample_image(_SKLEARN[name])
    else:
        import skimage.data

        image = getattr(skimage.data, _SKIMAGE[name])()
    if name == "motorcycle":
        image = image[0]  # the left one of a stereo pair
    return np.atleast_3d(image)[np.newaxis]
