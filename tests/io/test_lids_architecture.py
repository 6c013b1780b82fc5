from __future__ import annotations

import copy
import json
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_flim.engine.architecture import Architecture, Block
from napari_flim.errors import ArchitectureError, FileError, FlimWarning
from napari_flim.io.lids_architecture import (
    architecture_from_lids,
    architecture_to_lids,
    collapse,
    read_architecture,
    write_architecture,
)

GOLDEN = Path(__file__).parents[1] / 'golden' / 'libift'

EXAMPLE: dict[str, Any] = {
    'stdev_factor': 0.01,
    'nlayers': 1,
    'apply_intrinsic_atrous': True,
    'layer1': {
        'conv': {
            'kernel_size': [5, 3, 0],
            'nkernels_per_marker': 32,
            'dilation_rate': [7, 7, 0],
            'nkernels_per_image': 1000,
            'noutput_channels': 64,
        },
        'relu': True,
        'pooling': {'type': 'max_pool', 'size': [7, 7, 0], 'stride': 4},
    },
}


def changed(path: str, value: Any) -> dict[str, Any]:
    content = copy.deepcopy(EXAMPLE)
    *parents, key = path.split('.')
    part = content
    for name in parents:
        part = part[name]
    part[key] = value
    return content


def axes(largest: int, *, odd: bool) -> st.SearchStrategy[Any]:
    number = st.integers(1, largest).map(lambda n: n - (n % 2 == 0) if odd else n)
    return st.one_of(number, st.tuples(number, number), st.tuples(number, number, number))


BLOCKS = st.builds(
    Block,
    kernel_size=axes(99, odd=True),
    dilation=axes(99, odd=False),
    extra_dilations=st.lists(st.integers(1, 99), max_size=3).map(tuple),
    kernels_per_marker=st.integers(1, 4096),
    kernels_per_image=st.integers(1, 10_000_000),
    channels=st.integers(1, 4096),
    pooling=st.sampled_from(['none', 'max', 'average', 'min']),
    pool_size=axes(99, odd=True),
    stride=axes(99, odd=False),
    activation=st.sampled_from(['relu', 'none']),
    kind=st.sampled_from(['regular', 'separable']),
)
ARCHITECTURES = st.builds(
    Architecture,
    st.lists(BLOCKS, min_size=1, max_size=4).map(tuple),
    epsilon=st.floats(0, 10),
    intrinsic_atrous=st.booleans(),
)


def collapsed(architecture: Architecture) -> Architecture:
    def one(block: Block) -> Block:
        names = ('kernel_size', 'dilation', 'pool_size', 'stride')
        values = {n: getattr(block, n) for n in names}
        equal = {n: collapse(v) for n, v in values.items() if isinstance(v, tuple)}
        return replace(block, **equal)

    return replace(architecture, blocks=tuple(map(one, architecture.blocks)))


@settings(max_examples=150, deadline=None)
@given(ARCHITECTURES)
def test_every_architecture_comes_back_up_to_equal_tuples(architecture: Architecture) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', FlimWarning)
        content = json.loads(json.dumps(architecture_to_lids(architecture)))
    assert architecture_from_lids(content) == collapsed(architecture)


def test_every_key_is_understood() -> None:
    architecture = architecture_from_lids(EXAMPLE)
    assert architecture == Architecture(
        (
            Block(
                kernel_size=(3, 5),
                dilation=7,
                kernels_per_marker=32,
                kernels_per_image=1000,
                channels=64,
                pooling='max',
                pool_size=7,
                stride=4,
            ),
        ),
        epsilon=0.01,
        intrinsic_atrous=True,
    )


@pytest.mark.parametrize('case', ['a_keep_all', 'd_stride2', 'g_use_bias'])
def test_a_libift_file_is_written_back_the_same(tmp_path: Path, case: str) -> None:
    source = GOLDEN / case / 'arch.json'
    write_architecture(tmp_path / 'arch.json', read_architecture(source), ndim=2)
    assert json.loads((tmp_path / 'arch.json').read_text()) == json.loads(source.read_text())


def test_three_axes_run_x_y_z_in_the_file() -> None:
    architecture = read_architecture(GOLDEN / 'h_3d' / 'arch.json')
    assert architecture.blocks[0].dilation == (1, 2, 1)
    content = changed('layer1.conv.kernel_size', [5, 3, 1])
    assert architecture_from_lids(content).blocks[0].kernel_size == (1, 3, 5)
    again = architecture_to_lids(architecture_from_lids(content))
    assert again['layer1']['conv']['kernel_size'] == [5, 3, 1]


def test_the_third_entry_is_0_only_for_images() -> None:
    architecture = Architecture((Block(kernel_size=5),))
    sizes = [
        architecture_to_lids(architecture, ndim)['layer1']['conv']['kernel_size']
        for ndim in (None, 2, 3)
    ]
    assert sizes == [[5, 5, 5], [5, 5, 0], [5, 5, 5]]


def test_an_even_size_means_one_tap_more_and_warns() -> None:
    with pytest.warns(FlimWarning, match=r'layer1, conv: kernel_size is \[4, 4, 0\]'):
        block = architecture_from_lids(changed('layer1.conv.kernel_size', [4, 4, 0])).blocks[0]
    assert block.kernel_size == 5


@pytest.mark.parametrize(
    'path', ['extra', 'layer2', 'layer1.extra', 'layer1.conv.stride', 'layer1.conv.bias']
)
def test_keys_without_effect_warn(path: str) -> None:
    key = path.split('.')[-1]
    with pytest.warns(FlimWarning, match=f'{key} is ignored'):
        assert architecture_from_lids(changed(path, 1)) == architecture_from_lids(EXAMPLE)


def test_optional_keys_may_be_missing() -> None:
    content = copy.deepcopy(EXAMPLE)
    del content['apply_intrinsic_atrous']
    assert architecture_from_lids(content).intrinsic_atrous is False
    for pooling in ({'type': 'no_pool'}, {'type': 'no_pool', 'size': [0, 0, 0], 'stride': 0}):
        block = architecture_from_lids(changed('layer1.pooling', pooling)).blocks[0]
        assert block.strides(2) == (1, 1)


def test_no_pool_never_subsamples() -> None:
    content = changed('layer1.pooling', {'type': 'no_pool', 'size': [3, 3, 0], 'stride': 4})
    assert architecture_from_lids(content).output_shapes((9, 9)) == [(9, 9)]


@pytest.mark.parametrize(
    ('path', 'value', 'words'),
    [
        ('nlayers', 0, ['nlayers', '0', 'whole number']),
        ('nlayers', True, ['nlayers', 'True']),
        ('nlayers', 2, ['layer2', 'missing']),
        ('stdev_factor', '0.01', ['stdev_factor', "'0.01'", 'number']),
        ('stdev_factor', -1, ['stdev_factor', '-1']),
        ('stdev_factor', float('nan'), ['stdev_factor', 'nan']),
        ('apply_intrinsic_atrous', 1, ['apply_intrinsic_atrous', '1', 'true or false']),
        ('layer1', [], ['layer1', 'named values']),
        ('layer1.relu', 1, ['layer1', 'relu', '1', 'true or false']),
        ('layer1.conv', None, ['layer1', 'conv', 'None']),
        ('layer1.conv.kernel_size', 3, ['layer1, conv', 'kernel_size', '3', '[x, y, z]']),
        ('layer1.conv.kernel_size', [0, 3, 0], ['kernel_size', '[0, 3, 0]', '1 to 99']),
        ('layer1.conv.kernel_size', [3.0, 3, 0], ['kernel_size', '[3.0, 3, 0]']),
        ('layer1.conv.kernel_size', [100, 3, 0], ['kernel_size', '[100, 3, 0]']),
        ('layer1.conv.kernel_size', [3, 3, False], ['kernel_size', 'False']),
        ('layer1.conv.dilation_rate', [1, 1, -1], ['dilation_rate', '[1, 1, -1]']),
        ('layer1.conv.nkernels_per_marker', 0, ['nkernels_per_marker', '0', '1 to 4096']),
        ('layer1.conv.nkernels_per_image', 1.5, ['nkernels_per_image', '1.5']),
        ('layer1.conv.noutput_channels', 'many', ['noutput_channels', "'many'"]),
        ('layer1.pooling.type', 'median', ['layer1, pooling', 'type', "'median'", 'avg_pool']),
        ('layer1.pooling.type', [], ['type', 'no_pool']),
        ('layer1.pooling.size', [3], ['pooling', 'size', '[3]']),
        ('layer1.pooling.stride', 0, ['pooling', 'stride', '0']),
        ('layer1.napari_flim', {'kind': 'odd'}, ['layer1', 'kind', 'separable']),
        ('layer1.napari_flim', {'extra_dilations': 3}, ['layer1', 'extra_dilations', '3']),
        ('features', {}, ['features', 'LIDS-UNICAMP/FLIM']),
    ],
)
def test_a_wrong_value_is_named_with_file_layer_key_and_allowed(
    path: str, value: Any, words: list[str]
) -> None:
    with pytest.raises(ArchitectureError) as caught:
        architecture_from_lids(changed(path, value), 'my/arch.json')
    for word in ['my/arch.json', *words]:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    'path',
    [
        'nlayers',
        'stdev_factor',
        'layer1.relu',
        'layer1.conv',
        'layer1.conv.kernel_size',
        'layer1.pooling.type',
        'layer1.pooling.size',
        'layer1.pooling.stride',
    ],
)
def test_a_missing_key_is_named(path: str) -> None:
    content = changed(path, None)
    *parents, key = path.split('.')
    part = content
    for name in parents:
        part = part[name]
    del part[key]
    with pytest.raises(ArchitectureError, match=f'{key} is missing'):
        architecture_from_lids(content)


def test_what_lids_tools_cannot_compute_warns_when_written() -> None:
    for block in (
        Block(extra_dilations=(2,)),
        Block(kind='separable'),
        Block(pooling='min'),
        Block(stride=(1, 2)),
    ):
        with pytest.warns(FlimWarning, match='Layer 2'):
            architecture_to_lids(Architecture((Block(), block)))


@pytest.mark.parametrize('content', ['', '{"nlayers": 1', '[1, 2]', 'SCN\n'])
def test_a_file_that_is_not_an_architecture_gives_one_clear_error(
    tmp_path: Path, content: str
) -> None:
    (tmp_path / 'arch.json').write_text(content)
    with pytest.raises(FileError, match=r'arch\.json'):
        read_architecture(tmp_path / 'arch.json')


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileError, match='absent'):
        read_architecture(tmp_path / 'absent.json')
