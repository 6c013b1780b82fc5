"""What the docks say, decided from the session alone."""

from __future__ import annotations

from collections.abc import Sequence

from napari_flim.engine.architecture import Block
from napari_flim.session.items import Item
from napari_flim.session.learned import BlockState
from napari_flim.session.session import Session
from napari_flim.session.settings import Settings
from napari_flim.session.sources import ImageSource

GIGABYTE = 2**30
MEGABYTE = 2**20
TWO_DIGITS = 10
SIGNIFICANT_DIGITS = 3


def learn_words(session: Session) -> str:
    """What the main button will do."""
    blocks = len(session.settings.architecture)
    images = len(session.training_images())
    return f'Learn {count_words(blocks, "block")} from {count_words(images, "image")}'


def count_words(number: int, noun: str) -> str:
    """A number with its noun.

    Examples
    --------
    >>> count_words(1, 'image'), count_words(3, 'image')
    ('1 image', '3 images')
    """
    return f'{number} {noun}{"s" * (number != 1)}'


def state_words(session: Session, states: Sequence[BlockState]) -> str:
    """The state of learning in one line."""
    learned = session.learned
    if learned is None:
        return 'Nothing is learned yet.'
    kernels = ' + '.join(str(len(block.bank)) for block in learned.model.blocks)
    if not learned.digest:
        words = f'Opened model: {kernels} kernels; reads {learned.model.reads()}.'
    else:
        words = f'Learned in {seconds_words(learned.seconds)}: {kernels} kernels.'
    changed = 'stale' in states or len(learned.model.blocks) > len(states)
    kept = states.count('kept')
    if kept and not changed:
        words += f' {_blocks_words(kept)} your edits; strokes do not change them.'
    if learned.digest and not any(item.opened for item in session.items):
        words += f' {_open_words(session)}'
    elif changed:
        words += ' Changed since: press Learn, or switch Live on.'
    elif 'missing' in states:
        words += f' Block {states.index("missing") + 1} is not learned yet.'
    return words


def _open_words(session: Session) -> str:
    """What to do when no image is open."""
    if not session.items:
        return 'No image is open: open one.'
    if len(session.items) > 1:
        return 'The images are closed: open one again.'
    return f'{session.items[0].source.name} is closed: open it again.'


def seconds_words(seconds: float) -> str:
    """A time with two digits.

    Examples
    --------
    >>> seconds_words(0.0512), seconds_words(12.3)
    ('0.051 s', '12 s')
    """
    return f'{seconds:.0f} s' if seconds >= TWO_DIGITS else f'{seconds:.2g} s'


def _blocks_words(kept: int) -> str:
    return 'Block 1 keeps' if kept == 1 else f'Blocks 1 to {kept} keep'


def field_words(settings: Settings, source: ImageSource | None, block: int | None = None) -> str:
    """How far a voxel of a block sees, in voxels and in world units.

    Examples
    --------
    >>> field_words(Settings(), None)
    'sees 19 px'
    """
    ndim = 2 if source is None else source.ndim
    widths = settings.architecture.receptive_field(ndim, block)
    noun = 'px' if ndim == 2 else 'voxels'
    words = f'sees {_product(widths)} {noun}'
    if source is None or source.unit == 'pixel':
        return words
    world = [
        round(w * s, SIGNIFICANT_DIGITS - len(str(int(w * s)))) for w, s in _pairs(widths, source)
    ]
    return f'{words} = {_product(world)} {source.unit}'


def _pairs(widths: Sequence[int], source: ImageSource) -> list[tuple[int, float]]:
    return list(zip(widths, source.spacing, strict=True))


def _product(values: Sequence[float]) -> str:
    texts = [f'{value:g}' for value in values]
    return texts[0] if len(set(texts)) == 1 else ' x '.join(texts)


def block_words(block: Block, ndim: int = 2) -> str:
    """What a block does, in one line.

    Examples
    --------
    >>> block_words(Block())
    '3x3, dilation 1, 16 kernels, max 3'
    >>> block_words(Block((1, 3, 3), extra_dilations=(2,), kind='separable', pooling='none'), 3)
    '1x3x3 separable, dilations 1, 2, 16 kernels, no pooling'
    """
    sizes = 'x'.join(map(str, block.axes('kernel_size', ndim)))
    dilations = [_product(block.axes('dilation', ndim)), *map(str, block.extra_dilations)]
    parts = [
        sizes + ' separable' * (block.kind == 'separable'),
        f'dilation{"s" * (len(dilations) > 1)} {", ".join(dilations)}',
        count_words(block.channels, 'kernel'),
    ]
    if block.activation == 'none':
        parts.append('no activation')
    if block.pooling == 'none':
        return ', '.join([*parts, 'no pooling'])
    parts.append(f'{block.pooling} {_product(block.axes("pool_size", ndim))}')
    if set(block.strides(ndim)) != {1}:
        parts.append(f'stride {_product(block.strides(ndim))}')
    return ', '.join(parts)


STATE_WORDS: dict[BlockState, str] = {
    'learned': '\N{BLACK CIRCLE} learned',
    'kept': '\N{BLACK DIAMOND} kept',
    'stale': '\N{CIRCLE WITH LEFT HALF BLACK} stale',
    'missing': '\N{WHITE CIRCLE} not yet',
}
"""State of a block: a sign of its own shape, and a word."""


def memory_words(needed: int) -> str:
    """Bytes in words.

    Examples
    --------
    >>> memory_words(3 * 2**30), memory_words(5 * 2**20)
    ('3.0 GB', '5 MB')
    """
    if needed >= GIGABYTE:
        return f'{needed / GIGABYTE:.1f} GB'
    return f'{max(1, round(needed / MEGABYTE))} MB'


def marked_words(item: Item) -> str:
    """How much is painted on an item, for screen readers and tooltips."""
    if item.problem:
        return item.problem
    if not item.strokes:
        return 'nothing painted'
    parts = [f'{count_words(n, "voxel")} of label {label}' for label, n in item.counts.items()]
    images = '' if item.source.frames == 1 else f' on {count_words(len(item.strokes), "image")}'
    return ', '.join(parts) + images
