"""Points of SMOTE lie between an example and one of its nearest neighbours."""

import numpy as np
import pytest

from cvlab.oversampling import smote


def test_every_point_lies_on_a_segment_to_a_near_neighbour():
    rng = np.random.default_rng(0)
    examples = rng.normal(size=(12, 4))
    distances = np.linalg.norm(examples[:, None] - examples, axis=-1)
    for point in smote(examples, 50, rng, neighbors=3):
        found = []
        for i, j in np.ndindex(12, 12):
            along = examples[j] - examples[i]
            t = (point - examples[i]) @ along / max(along @ along, 1e-12)
            if i != j and 0 <= t <= 1 and np.allclose(examples[i] + t * along, point):
                found.append((distances[i] < distances[i, j]).sum() <= 3)  # itself and 2 nearer
        assert any(found)


def test_places_neighbours_and_examples_are_all_used():
    new = smote(np.array([[0.0], [1.0], [10.0]]), 3000, np.random.default_rng(0), neighbors=1)[:, 0]
    low, high = new[new < 1], new[new >= 1]
    assert low.min() < 0.01 < 0.99 < low.max()
    assert np.isclose(low.mean(), 0.5, atol=0.03)  # from 0 to 1, and from 1 back to 0
    assert np.isclose(len(high) / len(new), 1 / 3, atol=0.03)  # from 10 to its neighbour, 1
    assert np.isclose(high.mean(), 5.5, atol=0.3)


def test_an_example_is_not_its_own_neighbour_even_if_it_occurs_twice():
    new = smote(np.array([[0.0], [0.0], [4.0]]), 100, np.random.default_rng(0), neighbors=1)
    assert ((new == 0) | (new > 0)).all()
    assert (new > 0).sum() > 10  # from 4 towards a zero


def test_images_keep_their_shape():
    images = np.random.default_rng(0).random((4, 6, 5, 3))
    assert smote(images, 7, np.random.default_rng(1), neighbors=3).shape == (7, 6, 5, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"examples": [1.0, 2.0]}, "examples must be at least two"),
        ({"examples": [[1.0]]}, "examples must be at least two"),
        ({"count": 0}, "count must be an integer >= 1"),
        ({"neighbors": 0}, "neighbors must be an integer >= 1"),
        ({"neighbors": 3}, "neighbors must be at most 2 for 3 examples, got 3"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    good = {"examples": [[0.0], [1.0], [3.0]], "count": 2, "neighbors": 1}
    with pytest.raises(ValueError, match=message):
        smote(**{**good, **arguments}, rng=np.random.default_rng(0))
