"""The twelve numbers of COCO: average precision and recall of a detector.

AP is the mean over classes and over the IoU thresholds 0.50, 0.55, ... 0.95; AP50 and AP75 are
    those at one threshold. AR is the mean of the recall that is reached, over the same thresholds.
Sizes: small objects have an area of at most 32^2 pixels, large ones of at least 96^2, both ends
    included; another object is ignored, and so is an unmatched detection of another size.
Limits: only the best 1, 10 or 100 detections of each class in each image count; AP takes 100.
Without objects (of that size) a number is NaN; pycocotools writes -1.

Source: T.-Y. Lin et al., "Microsoft COCO", 2014, arXiv:1405.0312, and its reference code,
pycocotools, with which all numbers agree. Derived in chapter 13-detection.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace

import numpy as np

from cvlab._validate import refuse
from cvlab.average_precision import average_precision
from cvlab.boxes import box_convert, check_boxes
from cvlab.detection import Detections, Truth, match_coco, ranks

THRESHOLDS = np.linspace(0.5, 0.95, 10)
SIZES = {"all": (0, 1e10), "small": (0, 32**2), "medium": (32**2, 96**2), "large": (96**2, 1e10)}
LIMITS = (1, 10, 100)


def coco_evaluation(truth: Truth, detections: Detections) -> dict[str, float]:
    """Return the twelve numbers of COCO, in the usual order.

    Parameters
    ----------
    truth : Truth
    detections : Detections

    Returns
    -------
    dict
        AP, AP50, AP75, AP_small, AP_medium, AP_large, AR_1, AR_10, AR_100, AR_small, AR_medium,
        AR_large; from 0 to 1, or NaN.

    Examples
    --------
    >>> truth = Truth([[0, 0, 40, 40], [0, 0, 10, 10]], images=[1, 2])
    >>> found = Detections([[0, 0, 40, 32], [50, 50, 60, 60]], scores=[0.9, 0.8], images=[1, 2])
    >>> numbers = coco_evaluation(truth, found)
    >>> {name: round(numbers[name], 3) for name in ("AP", "AP50", "AR_100", "AP_medium")}
    {'AP': 0.353, 'AP50': 0.505, 'AR_100': 0.35, 'AP_medium': 0.7}
    """
    rank = ranks(detections)
    detections, rank = _select(detections, rank < LIMITS[-1]), rank[rank < LIMITS[-1]]
    low, high = np.array(list(SIZES.values())).T[:, :, None]
    counted = ~truth.crowd & (low <= truth.area) & (truth.area <= high)
    fits = (low <= detections.area) & (detections.area <= high)
    found = match_coco(truth, detections, THRESHOLDS, counted)
    hit = np.stack([np.append(c, False)[f] for c, f in zip(counted, found, strict=True)])
    wrong = (found < 0) & fits[:, None]  # everything else is ignored

    labels = np.unique(truth.labels)
    average = np.full((len(labels), len(SIZES), len(THRESHOLDS)), np.nan)  # average precision
    recall = np.full((len(LIMITS), *average.shape), np.nan)
    order = detections.order()
    for k, label in enumerate(labels):
        members = order[detections.labels[order] == label]
        objects = np.count_nonzero(counted[:, truth.labels == label], axis=1)
        for size in np.flatnonzero(objects):
            right = hit[size][:, members]
            hits = np.cumsum(right, axis=1)
            answers = np.cumsum(right | wrong[size][:, members], axis=1)
            curves = zip(hits / np.maximum(answers, 1), hits / objects[size], strict=True)
            average[k, size] = [average_precision(*curve) for curve in curves]
            for i, limit in enumerate(LIMITS):
                recall[i, k, size] = right[:, rank[members] < limit].sum(axis=1) / objects[size]

    result = {"AP": average[:, 0], "AP50": average[:, 0, 0], "AP75": average[:, 0, 5]}
    result |= {f"AP_{name}": average[:, i] for i, name in enumerate(SIZES) if i}
    result |= {f"AR_{limit}": recall[i, :, 0] for i, limit in enumerate(LIMITS)}
    result |= {f"AR_{name}": recall[-1, :, i] for i, name in enumerate(SIZES) if i}
    return {name: _mean(values) for name, values in result.items()}


def from_coco(dataset: Mapping, results: Sequence[Mapping]) -> tuple[Truth, Detections]:
    """Return truth and detections from dictionaries in the format of COCO's JSON files.

    Parameters
    ----------
    dataset : dict
        With the lists ``"images"`` (each with an ``"id"``), ``"categories"`` (likewise) and
        ``"annotations"``: ``"image_id"``, ``"category_id"``, ``"bbox"`` (xywh), and perhaps
        ``"iscrowd"`` and ``"area"``, which default to 0 and the area of the box.
    results : list of dict
        ``"image_id"``, ``"category_id"``, ``"bbox"`` (xywh) and ``"score"``.

    Returns
    -------
    truth : Truth
    detections : Detections
        Without those of categories that the data set does not have, which COCO passes over.

    Raises
    ------
    ValueError
        If an entry lacks a field, an image or an annotation's category is not in the data set, or
        a box is none.

    Examples
    --------
    >>> box = {"image_id": 5, "category_id": 2, "bbox": [1, 1, 3, 2]}
    >>> dataset = {"images": [{"id": 5}], "categories": [{"id": 2}], "annotations": [box]}
    >>> truth, detections = from_coco(dataset, [{**box, "score": 0.5}])
    >>> truth.boxes, detections.labels
    (array([[1., 1., 4., 3.]]), array([2]))
    """
    for key in ("images", "categories", "annotations"):
        if key not in dataset:
            raise ValueError(f"dataset must have {key}, got only {sorted(dataset)}")
    annotations = dataset["annotations"]
    categories = _values(dataset["categories"], "categories", "id")
    boxes, labels, images, area = _columns(annotations, "annotations", dataset)
    refuse(~np.isin(labels, categories), labels, "annotations must have a category of the dataset")
    crowd = np.array([entry.get("iscrowd", 0) for entry in annotations])
    given = np.array([entry.get("area", np.nan) for entry in annotations], float)
    truth = Truth(boxes, labels, images, crowd, np.where(np.isnan(given), area, given))
    boxes, labels, images, area = _columns(results, "results", dataset)
    scores = np.array(_values(results, "results", "score"), float)
    detections = Detections(boxes, scores, labels, images, area)
    return truth, _select(detections, np.isin(labels, categories))


def _columns(entries, name, dataset):
    """Return boxes in format xyxy, labels, images and areas of annotations or results."""
    boxes = _values(entries, name, "bbox")
    for box in boxes:
        if len(box) != 4:
            raise ValueError(f"{name} must have a bbox of 4 numbers, got {box!r}")
    boxes = check_boxes(np.array(boxes, float), f"boxes of {name}", "xywh")
    labels, images = (
        np.array(_values(entries, name, key), int) for key in ("category_id", "image_id")
    )
    unknown = ~np.isin(images, _values(dataset["images"], "images", "id"))
    refuse(unknown, images, f"{name} must be of an image of the dataset")
    return box_convert(boxes, "xywh", "xyxy"), labels, images, boxes[:, 2] * boxes[:, 3]


def _values(entries, name, key):
    """Return one field of every entry."""
    for i, entry in enumerate(entries):
        if key not in entry:
            raise ValueError(f"{name} must have a {key}, got only {sorted(entry)} at index {i}")
    return [entry[key] for entry in entries]


def _select(detections, chosen):
    """Return the chosen detections."""
    columns = {field.name: getattr(detections, field.name)[chosen] for field in fields(detections)}
    return replace(detections, **columns)


def _mean(values):
    """Return the mean of what is defined, or NaN if nothing is."""
    values = values[~np.isnan(values)]
    return float(values.mean()) if values.size else float("nan")
