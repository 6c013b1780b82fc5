"""Encoding block by block, for whoever watches, stops, or has already encoded the first blocks."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch

from napari_flim.engine.encoder import Encoder
from napari_flim.engine.kernels import LearnedBlock
from napari_flim.progress import Job, Progress


def encode(
    blocks: Sequence[LearnedBlock],
    features: torch.Tensor,
    known: Sequence[tuple[LearnedBlock, torch.Tensor]] = (),
) -> Job[tuple[torch.Tensor, ...]]:
    """Activations of every block.

    Parameters
    ----------
    blocks : sequence of LearnedBlock
    features : (C, \\*S) tensor
        What the input transform made of an image; left as it is.
    known : sequence of (LearnedBlock, tensor)
        Blocks from the first on with what they answered to the same features. As long as they are
        the very blocks given, their answers are taken over instead of computed.

    Yields
    ------
    Progress
        After every block.

    Returns
    -------
    tuple of (K, \\*S') tensors
        The same bits as `Encoder.activations`; never to be overwritten, since they may be shared.

    Raises
    ------
    ArchitectureError
        When a block does not accept the channels of the one before it.
    ImageError
        When block 1 does not accept the features.
    """
    encoder = Encoder(blocks).to(features.device)
    encoder.check_features(features)
    same = itertools.takewhile(lambda pair: pair[0] is pair[1][0], zip(blocks, known, strict=False))
    answers = [answer for _, (_, answer) in same]
    for number, module in enumerate(encoder.blocks, start=1):
        if number > len(answers):
            with torch.inference_mode():
                answers.append(module(answers[-1] if answers else features))
        yield Progress(f'block {number}: encoding', number, len(blocks))
    return tuple(answers)
