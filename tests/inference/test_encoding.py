import numpy as np
import pytest
import torch

from napari_flim.engine.architecture import Block
from napari_flim.engine.encoder import Encoder
from napari_flim.engine.kernels import KernelBank, LearnedBlock, drop_kernels
from napari_flim.engine.normalization import Normalization
from napari_flim.errors import ArchitectureError, ImageError
from napari_flim.inference.encoding import encode
from napari_flim.progress import finish

COUNTS = (5, 4, 3)


def learned(spec, channels, kernels, seed, ndim=2):
    rng = np.random.default_rng(seed)
    size = spec.axes('kernel_size', ndim)
    weights = rng.normal(size=(kernels, channels, *size)).astype(np.float32)
    mean, std = rng.normal(size=channels), rng.uniform(0.5, 2, channels)
    normalization = Normalization(mean.astype(np.float32), std.astype(np.float32))
    return LearnedBlock(spec, normalization, KernelBank.from_weights(weights))


def three_blocks(ndim=2):
    specs = (
        Block(stride=2),
        Block(dilation=2, extra_dilations=(3,), pooling='none'),
        Block(kind='separable', pooling='average', activation='none'),
    )
    reads = (2, *COUNTS)
    return tuple(learned(spec, reads[i], COUNTS[i], i, ndim) for i, spec in enumerate(specs))


def features_of(*shape):
    return torch.from_numpy(np.random.default_rng(9).random((2, *shape), dtype=np.float32))


def count_encodings(monkeypatch):
    """Numbers of kernels of the blocks that are really encoded, in order."""
    seen = []
    plain = torch.nn.Module.__call__

    def counted(module, *arguments, **options):
        seen.append(len(module.kernels))
        return plain(module, *arguments, **options)

    monkeypatch.setattr(torch.nn.Module, '__call__', counted)
    return seen


@pytest.mark.parametrize('shape', [(31, 40), (700, 300), (9, 14, 12)])
def test_every_block_answers_as_in_the_encoder(shape):
    blocks, features = three_blocks(len(shape)), features_of(*shape)
    before = features.clone()
    answers = finish(encode(blocks, features))
    expected = Encoder(blocks).activations(features, [1, 2, 3])
    assert len(answers) == 3
    for answer, wanted in zip(answers, expected, strict=True):
        assert torch.equal(answer, wanted)
    assert torch.equal(features, before)


def test_each_block_is_a_step():
    steps = []
    finish(encode(three_blocks(), features_of(12, 13)), steps.append)
    assert [(step.done, step.total) for step in steps] == [(1, 3), (2, 3), (3, 3)]


def test_known_blocks_are_taken_over_and_the_others_computed(monkeypatch):
    blocks, features = three_blocks(), features_of(20, 21)
    first = finish(encode(blocks, features))
    kept = [answer.clone() for answer in first]
    edited = drop_kernels(blocks, 3, [1])
    seen = count_encodings(monkeypatch)
    second = finish(encode(edited, features, tuple(zip(blocks, first, strict=True))))
    assert seen == [2]
    assert second[0] is first[0]
    assert second[1] is first[1]
    torch.testing.assert_close(second[2], first[2][[0, 2]])
    for answer, before in zip(first, kept, strict=True):
        assert torch.equal(answer, before)


def test_a_block_after_another_one_is_computed_although_it_is_known(monkeypatch):
    blocks, features = three_blocks(), features_of(20, 21)
    known = tuple(zip(blocks, finish(encode(blocks, features)), strict=True))
    other = learned(blocks[0].spec, 2, 5, seed=7)
    seen = count_encodings(monkeypatch)
    result = finish(encode((other, *blocks[1:]), features, known))
    assert seen == [5, 4, 3]
    expected = Encoder((other, *blocks[1:])).activations(features, [3])[0]
    assert torch.equal(result[2], expected)


def test_a_job_that_is_stopped_leaves_torch_as_it_was():
    job = encode(three_blocks(), features_of(12, 13))
    next(job)
    assert not torch.is_inference_mode_enabled()
    job.close()
    assert not torch.is_inference_mode_enabled()


def test_blocks_and_features_that_do_not_fit_give_a_clear_error():
    blocks = three_blocks()
    with pytest.raises(ArchitectureError, match='Block 2 reads 4 channels'):
        finish(encode((blocks[0], blocks[2]), features_of(9, 9)))
    with pytest.raises(ImageError, match='this encoder reads 2 channels'):
        finish(encode(blocks, torch.zeros(3, 9, 9)))
