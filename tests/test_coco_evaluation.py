"""The twelve numbers of COCO against pycocotools, on random and on awkward data."""

import contextlib
import copy
import io
import math

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from cvlab.average_precision import mean_average_precision
from cvlab.coco_evaluation import coco_evaluation, from_coco
from cvlab.detection import Detections, Truth

NAMES = "AP AP50 AP75 AP_small AP_medium AP_large AR_1 AR_10 AR_100 AR_small AR_medium AR_large"


def reference(dataset, results):
    """Return the numbers of pycocotools, with NaN for its -1."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = copy.deepcopy(dataset)
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(copy.deepcopy(results)), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return np.where(evaluation.stats == -1, np.nan, evaluation.stats)


def assert_agrees(dataset, results):
    ours = coco_evaluation(*from_coco(dataset, results))
    assert list(ours) == NAMES.split()
    np.testing.assert_allclose(list(ours.values()), reference(dataset, results), atol=1e-12)
    return ours


def random_data(seed, images=20, classes=3, objects=8, detections=12, largest=150, ties=True):
    """Return a data set and results of COCO: crowds, all sizes, wrong classes, equal scores."""
    rng = np.random.default_rng(seed)
    annotations, results = [], []
    for image in rng.permutation(np.arange(1, images + 1)).tolist():
        here = []
        for _ in range(rng.integers(0, objects + 1)):
            corner, sides = rng.integers(0, 200, 2), rng.integers(2, largest, 2)
            here.append(
                {
                    "id": len(annotations) + len(here) + 1,
                    "image_id": image,
                    "category_id": int(rng.integers(classes)),
                    "bbox": [*map(float, (*corner, *sides))],
                    "area": float(sides.prod() * rng.choice([0.4, 1.0])),
                    "iscrowd": int(rng.random() < 0.15),
                }
            )
        annotations += here
        for _ in range(rng.integers(0, detections + 1)):
            base = here[rng.integers(len(here))] if here else {"bbox": [5, 5, 50, 50]}
            box = np.array(base["bbox"]) + rng.integers(-5, 6, 4)
            box[2:] = np.maximum(box[2:], 1)
            keeps = here and rng.random() < 0.8
            label = base["category_id"] if keeps else int(rng.integers(classes))
            score = float(rng.integers(8) / 8 if ties else rng.random())
            results.append(
                {"image_id": image, "category_id": label, "bbox": box.tolist(), "score": score}
            )
    dataset = {
        "images": [{"id": i} for i in range(1, images + 1)],
        "categories": [{"id": c} for c in range(classes)],
        "annotations": annotations,
    }
    return dataset, results


@pytest.mark.parametrize("seed", range(12))
def test_random_data(seed):
    ours = assert_agrees(*random_data(seed))
    assert 0 < ours["AP"] < 1


@pytest.mark.parametrize("seed", range(4))
def test_fractions_of_pixels_and_different_scores(seed):
    dataset, results = random_data(seed, ties=False)
    rng = np.random.default_rng(seed)
    for entry in [*dataset["annotations"], *results]:
        entry["bbox"] = (np.array(entry["bbox"]) + rng.random(4)).tolist()
    assert_agrees(dataset, results)


def test_more_detections_than_any_limit():
    ours = assert_agrees(*random_data(1, images=3, classes=1, objects=40, detections=400))
    assert ours["AR_1"] < ours["AR_10"] < ours["AR_100"]


def test_small_objects_only():
    ours = assert_agrees(*random_data(2, largest=30))
    assert math.isnan(ours["AP_large"])
    assert math.isnan(ours["AR_medium"])


def test_crowds_only():
    dataset, results = random_data(3)
    for entry in dataset["annotations"]:
        entry["iscrowd"] = 1
    ours = assert_agrees(dataset, results)
    assert all(map(math.isnan, ours.values()))


@pytest.mark.parametrize("side", [32, 96])
def test_sizes_include_both_ends(side):
    box = {"image_id": 1, "category_id": 1, "bbox": [0.1, 0.2, side, side]}
    dataset = {
        "images": [{"id": 1}],
        "categories": [{"id": 1}],
        "annotations": [{**box, "id": 1, "area": side**2, "iscrowd": 0}],
    }
    ours = assert_agrees(dataset, [{**box, "score": 0.5}])
    names = ["AP_small", "AP_medium"] if side == 32 else ["AP_medium", "AP_large"]
    assert [ours[name] for name in names] == pytest.approx([1, 1])


def test_unmatched_detections_of_another_size_are_ignored():
    small = {
        "id": 1,
        "image_id": 1,
        "category_id": 1,
        "bbox": [0, 0, 9, 9],
        "area": 81,
        "iscrowd": 0,
    }
    dataset = {"images": [{"id": 1}], "categories": [{"id": 1}], "annotations": [small]}
    box = {"image_id": 1, "category_id": 1}
    results = [
        {**box, "bbox": [50, 50, 99, 99], "score": 0.9},  # large: a false positive, not a small one
        {**box, "bbox": [0, 0, 9, 9], "score": 0.8},
    ]
    ours = assert_agrees(dataset, results)
    assert ours["AP"] == pytest.approx(0.5)
    assert ours["AP_small"] == pytest.approx(1)


def test_recalls_are_rounded_as_in_the_reference():
    """57 of 100 objects: 57 * 0.01 is a little more than 0.57, and the reference loses a point."""
    box = {"image_id": 1, "category_id": 1}
    boxes = [[20 * (i % 10), 20 * (i // 10), 10, 10] for i in range(100)]
    annotations = [
        {**box, "id": i + 1, "bbox": b, "area": 100, "iscrowd": 0} for i, b in enumerate(boxes)
    ]
    dataset = {"images": [{"id": 1}], "categories": [{"id": 1}], "annotations": annotations}
    results = [{**box, "bbox": b, "score": 1 - i / 100} for i, b in enumerate(boxes[:57])]
    assert assert_agrees(dataset, results)["AP"] == pytest.approx(57 / 101)


def test_an_annotation_with_id_0_is_an_object_like_others():
    """pycocotools takes a match with id 0 for no match; here ids do not matter."""
    dataset, results = random_data(4)
    shifted = copy.deepcopy(dataset)
    for entry in shifted["annotations"]:
        entry["id"] -= 1
    ours = coco_evaluation(*from_coco(shifted, results))
    assert ours == assert_agrees(dataset, results)


def test_images_without_objects_and_unknown_categories():
    dataset, results = random_data(6)
    empty = {a["image_id"] for a in dataset["annotations"]} ^ {i["id"] for i in dataset["images"]}
    assert any(r["image_id"] in empty for r in results)
    results.append({"image_id": 1, "category_id": 99, "bbox": [0, 0, 9, 9], "score": 1.0})
    assert_agrees(dataset, results)
    dataset["categories"].append({"id": 7})  # a category without objects changes nothing
    results.append({"image_id": 1, "category_id": 7, "bbox": [0, 0, 9, 9], "score": 1.0})
    assert_agrees(dataset, results)


def test_plain_arrays_need_no_dictionaries():
    dataset, results = random_data(8)
    truth, detections = from_coco(dataset, results)
    for entry in dataset["annotations"]:
        del entry["area"]
    whole_boxes, _ = from_coco(dataset, results)
    plain = Truth(truth.boxes, truth.labels, truth.images, truth.crowd)
    assert coco_evaluation(plain, detections) == coco_evaluation(whole_boxes, detections)
    assert coco_evaluation(plain, detections) != coco_evaluation(truth, detections)


def test_ap50_is_the_mean_average_precision_at_one_half():
    truth, detections = from_coco(*random_data(9))
    numbers = coco_evaluation(truth, detections)
    for name, threshold in (("AP50", 0.5), ("AP75", 0.75)):
        alone = mean_average_precision(truth, detections, threshold).mean
        assert numbers[name] == pytest.approx(alone, abs=1e-12)


def test_nothing_to_find_and_nothing_found():
    nothing = Detections([], [])
    assert all(map(math.isnan, coco_evaluation(Truth([]), nothing).values()))
    numbers = coco_evaluation(Truth([[0, 0, 9, 9]]), nothing)
    assert numbers["AP"] == numbers["AR_100"] == numbers["AP_small"] == 0
    assert math.isnan(numbers["AP_large"])
    truth, detections = from_coco({"images": [], "categories": [], "annotations": []}, [])
    assert truth.boxes.shape == detections.boxes.shape == (0, 4)


def test_errors_of_dictionaries():
    box = {"image_id": 1, "category_id": 2, "bbox": [0, 0, 1, 1]}
    dataset = {"images": [{"id": 1}], "categories": [{"id": 2}], "annotations": [box]}

    def broken(**change):
        return {**dataset, "annotations": [box, {**box, **change}]}

    with pytest.raises(
        ValueError, match="results must be of an image of the dataset, got 5 at index 0"
    ):
        from_coco(dataset, [{**box, "image_id": 5, "score": 1.0}])
    with pytest.raises(
        ValueError, match="annotations must be of an image of the dataset, got 5 at"
    ):
        from_coco(broken(image_id=5), [])
    with pytest.raises(
        ValueError, match="annotations must have a category of the dataset, got 5 at"
    ):
        from_coco(broken(category_id=5), [])
    message = (
        r"results must have a score, got only \['bbox', 'category_id', 'image_id'\] at index 0"
    )
    with pytest.raises(ValueError, match=message):
        from_coco(dataset, [box])
    with pytest.raises(
        ValueError, match=r"annotations must have a bbox of 4 numbers, got \[0, 1\]"
    ):
        from_coco(broken(bbox=[0, 1]), [])
    message = r"boxes of annotations must have width and height >= 0, got \[0.*\] at index 1"
    with pytest.raises(ValueError, match=message):
        from_coco(broken(bbox=[0, 0, -1, 1]), [])
    with pytest.raises(ValueError, match="scores must be finite, got nan"):
        from_coco(dataset, [{**box, "score": float("nan")}])
    with pytest.raises(ValueError, match="dataset must have annotations, got only"):
        from_coco({"images": [], "categories": []}, [])
