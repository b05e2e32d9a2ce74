"""Networks written as lists of layers, trained briefly."""

import numpy as np
import pytest

from cvlab.networks import cost_report
from cvlab.networks.design_trial import _network, train_design

GOOD = [(3, 16, 2, 0), (3, 24, 2, 1)]


def test_the_network_is_the_one_that_was_written_down():
    report = cost_report(_network(GOOD, 16))
    kinds = [row.kind for row in report.layers if row.macs]
    assert kinds == ["Conv2D", "DepthwiseConv2D", "Conv2D", "Dense"]
    kernels = sum(row.parameters for row in report.layers if "Conv2D" in row.kind)
    assert kernels == 9 * 16 + 9 * 16 + 16 * 24  # no biases
    assert [row.output_shape for row in report.layers if row.kind == "ReLU"] == [
        (8, 8, 16),
        (4, 4, 24),
    ]


def test_a_sensible_design_learns_the_digits_and_a_needle_eye_does_not():
    good = train_design(GOOD)
    assert good > 0.9
    assert train_design(np.array(GOOD)) == good  # the seed decides
    assert train_design([(1, 1, 4, 0), (1, 24, 1, 0)], side=16) < 0.6


@pytest.mark.parametrize(
    ("design", "side", "message"),
    [
        ([], 8, "design must hold at least one layer, got none"),
        ([(3, 16, 2)], 8, r"design must hold \(kernel.* got \(3, 16, 2\) as number 1"),
        ([(3, 16, 2, 2)], 8, "with separable 0 or 1, got"),
        ([(3, 0, 2, 1)], 8, "design's filters must be an integer >= 1, got 0"),
        (GOOD, 20, "side must be a multiple of 8, got 20"),
    ],
)
def test_what_is_no_design_is_refused(design, side, message):
    with pytest.raises(ValueError, match=message):
        train_design(design, side)
