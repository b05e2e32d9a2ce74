"""Multiply-adds of layers other than convolutions, against sums written out."""

import keras
import numpy as np
import pytest
from keras import layers

from cvlab.networks.cost_report import cost_report


def macs(layer, *shapes, **options):
    """Return the multiply-adds of a model of one layer."""
    inputs = [keras.Input(shape) for shape in shapes]
    return cost_report(keras.Model(inputs, layer(*inputs)), **options).macs


def test_a_look_up_multiplies_nothing():
    token = keras.Input((7,), dtype="int32")
    assert cost_report(keras.Model(token, layers.Embedding(100, 16)(token))).macs == 0


def test_an_embedding_that_is_read_backwards_is_no_look_up():
    kind = type("ReversibleEmbedding", (layers.Embedding,), {})  # as newer versions of Keras have
    token = keras.Input((7,), dtype="int32")
    model = keras.Model(token, kind(100, 16)(token))
    with pytest.raises(ValueError, match=r"not known, .* of class ReversibleEmbedding"):
        cost_report(model)
    assert cost_report(model, macs={"ReversibleEmbedding": lambda *_: 5}).macs == 5


@pytest.mark.parametrize(
    ("equation", "output_shape", "source", "expected"),
    [
        ("ab,bc->ac", 5, (4,), 4 * 5),
        ("abc,cd->abd", (7, 5), (7, 4), 7 * 4 * 5),
        ("abc,cde->abde", (7, 2, 3), (7, 4), 7 * 4 * 2 * 3),
        ("...x,xy->...y", 5, (6, 7, 4), 6 * 7 * 4 * 5),
        ("abc,bd->adc", (5, 4), (7, 4), 7 * 4 * 5),
    ],
)
def test_an_einsum_multiplies_for_every_combination_of_letters(
    equation, output_shape, source, expected
):
    layer = layers.EinsumDense(equation, output_shape)
    assert macs(layer, source) == expected


@pytest.mark.parametrize(("kind", "gates"), [("SimpleRNN", 1), ("GRU", 3), ("LSTM", 4)])
def test_a_recurrent_layer_uses_its_cell_at_every_step(kind, gates):
    expected = 9 * gates * (6 * 5 + 5 * 5)
    assert macs(getattr(layers, kind)(5), (9, 6)) == expected
    both = layers.Bidirectional(getattr(layers, kind)(5, return_sequences=True))
    assert macs(both, (9, 6)) == 2 * expected


def test_a_layer_or_a_model_at_every_step():
    conv = layers.Conv2D(4, 3, padding="same")
    assert macs(layers.TimeDistributed(conv), (5, 8, 6, 2)) == 5 * 48 * 9 * 2 * 4
    model = keras.Sequential([keras.Input((8, 6, 2)), layers.Flatten(), layers.Dense(3)])
    assert macs(layers.TimeDistributed(model), (5, 8, 6, 2)) == 5 * 96 * 3


def test_spectral_normalization_only_scales_the_weights():
    wrapped = layers.SpectralNormalization(layers.Conv2D(4, 3))
    assert macs(wrapped, (8, 6, 2)) == 6 * 4 * 9 * 2 * 4


@pytest.mark.parametrize(("queries", "keys"), [((10,), (10,)), ((10,), (7,)), ((2, 5), (3, 3))])
def test_attention_projects_compares_all_pairs_and_mixes(queries, keys):
    layer = layers.MultiHeadAttention(num_heads=3, key_dim=4, value_dim=5, output_shape=6)
    m, n = int(np.prod(queries)), int(np.prod(keys))
    projections = m * 8 * 3 * 4 + n * 9 * 3 * 4 + n * 9 * 3 * 5 + m * 3 * 5 * 6
    assert macs(layer, (*queries, 8), (*keys, 9)) == projections + m * n * 3 * (4 + 5)


def test_arguments_are_known_by_their_names():
    """Keras records them in the order of the alphabet."""
    q, v, k, m = (keras.Input(shape) for shape in ((10, 8), (7, 9), (7, 6), (10, 7)))
    layer = layers.MultiHeadAttention(num_heads=3, key_dim=4, value_dim=5, output_shape=6)
    y = layer(value=v, query=q, key=k, attention_mask=m)
    expected = 10 * 8 * 12 + 7 * 6 * 12 + 7 * 9 * 15 + 10 * 15 * 6 + 10 * 7 * 3 * 9
    assert cost_report(keras.Model([q, v, k, m], y)).macs == expected
    sequences, state = keras.Input((9, 6)), keras.Input((5,))
    y = layers.GRU(5)(sequences=sequences, initial_state=state)
    assert cost_report(keras.Model([sequences, state], y)).macs == 9 * 3 * (6 * 5 + 5 * 5)


@pytest.mark.parametrize("axes", [(2,), 2])
def test_attention_along_some_axes_compares_pairs_along_these(axes):
    layer = layers.MultiHeadAttention(num_heads=2, key_dim=4, attention_axes=axes)
    x = keras.Input((5, 7, 8))
    assert cost_report(keras.Model(x, layer(x, x))).macs == 4 * 35 * 64 + 5 * 7 * 7 * 2 * 8


def test_self_attention_counts_its_one_input_in_both_places():
    x = keras.Input((10, 8))
    layer = layers.MultiHeadAttention(2, 4)
    report = cost_report(keras.Model(x, layer(x, x)))
    assert report.macs == 4 * 10 * 8 * 8 + 10 * 10 * 2 * (4 + 4)


def test_a_rule_of_the_reader_comes_first_and_reaches_layers_within():
    def twice(layer, source, shape):
        return 2 * int(np.prod(shape))

    rules = {"Conv2D": twice}
    assert macs(layers.Conv2D(4, 3), (8, 6, 2), macs=rules) == 2 * 6 * 4 * 4
    within = layers.TimeDistributed(layers.Conv2D(4, 3))
    assert macs(within, (5, 8, 6, 2), macs=rules) == 5 * 2 * 6 * 4 * 4


def test_what_is_not_known_is_refused_by_name():
    with pytest.raises(ValueError, match=r"multiply-adds are not known, .* of class ConvLSTM2D"):
        macs(layers.ConvLSTM2D(4, 3), (5, 8, 6, 2))
    dense = layers.Dense(4, name="dense")
    dense.build((None, 6))
    dense.enable_lora(2)
    with pytest.raises(ValueError, match="not known, 'dense' of class Dense"):
        macs(dense, (6,))
    x = keras.Input((6,))
    with pytest.raises(ValueError, match=r"not known, .* of class Vdot"):
        cost_report(keras.Model(x, keras.ops.vdot(x, x)))
    open_shape = layers.EinsumDense("abc,cd->abd", (None, 5), name="open")
    with pytest.raises(ValueError, match=r"not known, 'open' of class EinsumDense: Keras says \(N"):
        macs(open_shape, (7, 4))
