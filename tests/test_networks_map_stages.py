"""Networks as rows of stages."""

import keras
import pytest
from keras import layers

from cvlab.networks import alexnet, cost_report, googlenet, se_resnet
from cvlab.networks.map_stages import map_stages, plot_stages


def test_alexnet_has_the_maps_of_the_paper():
    stages = map_stages(cost_report(alexnet()))
    assert [stage.size[0] for stage in stages] == [227, 55, 27, 13, 6, 1]
    assert [stage.channels for stage in stages] == [3, 96, 256, 256, 256, 1000]
    assert [stage.layers for stage in stages] == [0, 1, 1, 3, 0, 3]


def test_counts_add_up_and_googlenet_has_its_57_convolutions():
    report = cost_report(googlenet())
    stages = map_stages(report)
    assert sum(stage.parameters for stage in stages) == report.parameters
    assert sum(stage.macs for stage in stages) == report.macs
    assert sum(stage.layers for stage in stages) == 58  # 9 modules of 6, 3 before, 1 dense
    assert stages[-2] == ((7, 7), 1024, 12, *stages[-2][3:])


def test_gates_belong_to_the_map_that_they_weight():
    model = se_resnet((1, 1), (32, 24, 3), 10, width=8, bottleneck=False, small=True, ratio=4)
    stages = map_stages(cost_report(model))
    assert [stage.size for stage in stages] == [(32, 24), (32, 24), (16, 12), (1, 1)]
    assert [stage.layers for stage in stages] == [0, 5, 5, 1]  # gates have 2 layers


def test_padding_makes_no_stage_and_pooling_one_without_layers():
    steps = (
        layers.ZeroPadding2D(3),
        layers.Conv2D(4, 7, strides=2),
        layers.MaxPooling2D(),
        layers.GlobalAveragePooling2D(),
    )
    stages = map_stages(cost_report(keras.Sequential([keras.Input((16, 16, 1)), *steps])))
    assert [(stage.size[0], stage.layers) for stage in stages] == [(16, 0), (8, 1), (4, 0), (1, 0)]


def test_drawing_has_a_box_for_the_image_and_each_stage_with_layers():
    reports = {"AlexNet": cost_report(alexnet()), "GoogLeNet": cost_report(googlenet())}
    figure = plot_stages(reports)
    first, second = figure.axes
    assert [axes.get_title(loc="left") for axes in figure.axes] == list(reports)
    assert len(first.patches) == len(first.texts) == 5
    assert second.texts[-2].get_text() == "7×7\n×1024\n12 layers"
    widths = [patch.get_width() for patch in second.patches]
    assert widths == sorted(widths)[:5] + widths[5:]  # as the channels grow
    shades = [sum(patch.get_facecolor()[:3]) for patch in first.patches]
    assert max(shades) == shades[0]
    assert min(shades) == shades[3]  # 13 x 13 has 41 % of the MACs


def test_bad_input_is_explained():
    with pytest.raises(ValueError, match="reports must hold at least one report, got none"):
        plot_stages({})
    vector = keras.Sequential([keras.Input((4,)), layers.Dense(2)])
    with pytest.raises(ValueError, match=r"report must be of a model of images, got input \(4,\)"):
        map_stages(cost_report(vector))
