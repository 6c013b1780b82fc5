import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_flim.engine.architecture import (
    PRESETS,
    Architecture,
    Block,
    architecture_from_dict,
    architecture_to_dict,
    preset,
    with_channels,
)
from napari_flim.engine.encoder import Encoder
from napari_flim.engine.kernels import KernelBank, LearnedBlock
from napari_flim.engine.normalization import Normalization
from napari_flim.errors import ArchitectureError

odd = st.integers(0, 4).map(lambda n: 2 * n + 1)
whole = st.integers(1, 9)


def per_axis(number):
    return st.one_of(number, st.tuples(number, number), st.tuples(number, number, number))


blocks = st.builds(
    Block,
    kernel_size=per_axis(odd),
    dilation=per_axis(whole),
    extra_dilations=st.lists(whole, max_size=2).map(tuple),
    kernels_per_marker=whole,
    kernels_per_image=whole,
    channels=whole,
    pooling=st.sampled_from(['none', 'max', 'average', 'min']),
    pool_size=per_axis(odd),
    stride=per_axis(whole),
    activation=st.sampled_from(['relu', 'none']),
    kind=st.sampled_from(['regular', 'separable']),
)
architectures = st.builds(
    Architecture,
    st.lists(blocks, min_size=1, max_size=3).map(tuple),
    epsilon=st.floats(0, 10),
    intrinsic_atrous=st.booleans(),
)


def summing_encoder(architecture, ndim):
    """An encoder whose every kernel is one, so that no change of the input is lost."""
    learned = []
    for spec in architecture.blocks:
        shape = (1, 1, *spec.axes('kernel_size', ndim))
        nothing = Normalization(np.zeros(1, np.float32), np.ones(1, np.float32))
        learned.append(LearnedBlock(spec, nothing, KernelBank.from_weights(np.ones(shape))))
    return Encoder(learned)


@pytest.mark.parametrize(
    ('field', 'value', 'allowed'),
    [
        ('kernel_size', 0, 'from 1 to 99'),
        ('kernel_size', 101, 'from 1 to 99'),
        ('kernel_size', 3.0, 'from 1 to 99'),
        ('kernel_size', (3,), r'\(y, x\) or \(z, y, x\)'),
        ('kernel_size', (3, 3, 3, 3), r'\(y, x\) or \(z, y, x\)'),
        ('pool_size', '3', 'from 1 to 99'),
        ('pool_size', (3, -1), 'from 1 to 99'),
        ('dilation', 0, 'from 1 to 99'),
        ('dilation', True, 'from 1 to 99'),
        ('stride', (1, 0), 'from 1 to 99'),
        ('stride', None, 'from 1 to 99'),
        ('extra_dilations', (2, 0), 'from 1 to 99'),
        ('kernels_per_marker', 0, 'from 1 to 4096'),
        ('kernels_per_image', 0, 'from 1 to 10000000'),
        ('channels', 4097, 'from 1 to 4096'),
        ('pooling', 'median', 'none, max, average, min'),
        ('activation', 'tanh', 'relu, none'),
        ('kind', 'depthwise', 'regular, separable'),
    ],
)
def test_an_impossible_block_names_field_and_value_and_what_is_allowed(field, value, allowed):
    with pytest.raises(ArchitectureError, match=allowed) as caught:
        Block(**{field: value})
    given_values = [value, *value] if isinstance(value, tuple) else [value]
    assert any(str(caught.value).startswith(f'{field} is {v!r}') for v in given_values)


@pytest.mark.parametrize('field', ['kernel_size', 'pool_size'])
@pytest.mark.parametrize('value', [4, (3, 4), (4, 3, 3)])
def test_an_even_size_is_refused_with_its_odd_neighbours(field, value):
    with pytest.raises(ArchitectureError, match='3 or 5 instead of 4') as caught:
        Block(**{field: value})
    assert field in str(caught.value)


@pytest.mark.parametrize('field', ['dilation', 'stride'])
def test_even_dilations_and_strides_are_allowed(field):
    assert getattr(Block(**{field: (2, 4)}), field) == (2, 4)


def test_a_number_stands_for_every_axis_and_a_tuple_names_the_last_ones():
    block = Block(kernel_size=5, dilation=(1, 2, 3), stride=(4, 6))
    assert block.axes('kernel_size', 3) == (5, 5, 5)
    assert block.axes('dilation', 3) == (1, 2, 3)
    assert block.axes('dilation', 2) == (2, 3)
    assert block.axes('stride', 2) == (4, 6)


def test_two_numbers_do_not_serve_a_volume():
    with pytest.raises(ArchitectureError, match=r'stride is \(4, 6\).*3 axes.*\(z, y, x\)'):
        Block(stride=(4, 6)).axes('stride', 3)


def test_a_list_of_numbers_is_kept_as_a_tuple():
    assert Block(kernel_size=[3, 5]) == Block(kernel_size=(3, 5))


def test_a_block_without_pooling_does_not_subsample():
    assert Block(pooling='none', stride=2).strides(2) == (1, 1)
    assert Block(pooling='max', stride=2).strides(2) == (2, 2)


@pytest.mark.parametrize('epsilon', [-0.1, float('inf'), float('nan'), 'small', None])
def test_an_impossible_epsilon_is_refused(epsilon):
    with pytest.raises(ArchitectureError, match='epsilon is .*0.01'):
        Architecture((Block(),), epsilon=epsilon)


def test_an_architecture_needs_a_block():
    with pytest.raises(ArchitectureError, match='at least one'):
        Architecture(())


@pytest.mark.parametrize('number', [-1, 0, 3])
def test_only_existing_blocks_can_be_named(number):
    architecture = Architecture((Block(), Block()))
    with pytest.raises(ArchitectureError, match=f'Block {number} .*blocks 1 to 2'):
        architecture.check_block(number)
    assert [architecture.check_block(n) for n in (1, 2)] == [1, 2]


REACHES = [
    Architecture((Block(), Block())),
    Architecture((Block(pooling='none', dilation=2), Block(pool_size=5, kernel_size=1))),
    Architecture((Block(stride=2, pooling='average'), Block(stride=3), Block(dilation=2))),
    Architecture((Block(extra_dilations=(3,), stride=2), Block(kind='separable', pool_size=1))),
    Architecture((Block(kernel_size=(1, 3, 5), stride=(1, 2, 1)), Block(dilation=(2, 1, 1)))),
]


@pytest.mark.parametrize('ndim', [2, 3])
@pytest.mark.parametrize('architecture', REACHES)
def test_an_output_sees_exactly_the_inputs_within_its_halo(architecture, ndim):
    encoder, last = summing_encoder(architecture, ndim), len(architecture)
    step = architecture.strides(ndim)[-1]
    halo = architecture.halo(ndim)
    assert architecture.receptive_field(ndim) == tuple(2 * h + 1 for h in halo)
    for axis in range(ndim):
        shape = [1] * ndim
        shape[axis] = 3 * halo[axis] + 7
        seen = 0
        for voxel in range(shape[axis]):
            features = torch.zeros(1, *shape)
            features.view(-1)[voxel] = 1.0
            changed = encoder.activations(features, [last])[0].flatten().nonzero().flatten()
            if len(changed):
                seen = max(seen, int((changed * step[axis] - voxel).abs().max()))
        assert seen == halo[axis]


def test_the_halo_of_an_earlier_block_ignores_later_ones():
    architecture = REACHES[2]
    assert architecture.halo(2, 2) == Architecture(architecture.blocks[:2]).halo(2)
    with pytest.raises(ArchitectureError, match='blocks 1 to 3'):
        architecture.halo(2, 4)


@settings(max_examples=30, deadline=None)
@given(
    st.integers(2, 3).flatmap(
        lambda ndim: st.lists(st.integers(1, 14), min_size=ndim, max_size=ndim)
    ),
    st.lists(st.integers(1, 4), min_size=1, max_size=3),
    st.sampled_from([1, 3, 5]),
)
def test_predicted_output_shapes_are_those_of_an_encoder(shape, strides, pool_size):
    architecture = Architecture(tuple(Block(stride=s, pool_size=pool_size) for s in strides))
    encoder = summing_encoder(architecture, len(shape))
    numbers = range(1, len(strides) + 1)
    outputs = encoder.activations(torch.zeros(1, *shape), numbers)
    assert [tuple(o.shape[1:]) for o in outputs] == architecture.output_shapes(shape)


def test_strides_accumulate_over_blocks():
    architecture = Architecture((Block(stride=2), Block(stride=(1, 3)), Block(stride=2)))
    assert architecture.strides(2) == [(2, 2), (2, 6), (4, 12)]


@settings(max_examples=40, deadline=None)
@given(architectures)
def test_an_architecture_survives_json(architecture):
    text = json.dumps(architecture_to_dict(architecture))
    assert architecture_from_dict(json.loads(text)) == architecture


def test_fields_left_out_of_a_file_take_their_defaults():
    result = architecture_from_dict({'blocks': [{}, {'channels': 3}]})
    assert result == Architecture((Block(), Block(channels=3)))


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ({}, 'no list of blocks'),
        ({'blocks': 3}, 'no list of blocks'),
        ({'blocks': []}, 'at least one'),
        ({'blocks': [{}, 7]}, 'Block 2: expected named values, got 7'),
        (
            {'blocks': [{}, {'kernel': 3}]},
            "Block 2: unknown field 'kernel'; allowed: .*kernel_size",
        ),
        ({'blocks': [{'kernel_size': 2}]}, 'Block 1: kernel_size is 2; .*1 or 3'),
        ({'blocks': [{'pooling': ['max']}]}, 'Block 1: pooling is .*allowed: none'),
        ({'blocks': [{'extra_dilations': 2}]}, 'Block 1: extra_dilations is 2'),
        ({'blocks': [{}], 'epsilon': 'x'}, 'epsilon'),
    ],
)
def test_a_wrong_file_names_block_and_field(content, message):
    with pytest.raises(ArchitectureError, match=message):
        architecture_from_dict(content)


@pytest.mark.parametrize('name', PRESETS)
def test_a_preset_serves_images_and_volumes(name):
    architecture = preset(name)
    assert len(architecture.output_shapes((400, 400))) == len(architecture)
    assert len(architecture.receptive_field(3)) == 3
    assert architecture_from_dict(architecture_to_dict(architecture)) == architecture


def test_an_unknown_preset_lists_those_there_are():
    with pytest.raises(ArchitectureError, match=', '.join(PRESETS)):
        preset('tiny')


def test_learned_channels_replace_those_asked_for():
    architecture = Architecture((Block(channels=8, dilation=2), Block(channels=9)), epsilon=0.5)
    first, second = architecture.blocks
    assert with_channels(architecture, [3, 4]) == replace(
        architecture, blocks=(replace(first, channels=3), replace(second, channels=4))
    )
