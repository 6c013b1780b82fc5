"""What the tests of the session share: painted items, and a model that was really learned."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

import numpy as np
import pytest

from napari_flim.engine.architecture import Architecture, Block
from napari_flim.engine.decoder_settings import DecoderSettings
from napari_flim.progress import finish
from napari_flim.session.classes import FIRST_CLASSES
from napari_flim.session.history import State
from napari_flim.session.items import Item, training_images
from napari_flim.session.jobs import LearnRequest, learn
from napari_flim.session.kernel_edits import KernelEdits
from napari_flim.session.learned import Learned
from napari_flim.session.planning import edits_after
from napari_flim.session.session import Session
from napari_flim.session.settings import Settings
from napari_flim.session.sources import ImageSource, Strokes

SETTINGS = Settings(
    architecture=Architecture(
        (Block(channels=6), Block(channels=5, dilation=2), Block(channels=4, pooling='average'))
    ),
    decoder=DecoderSettings('label'),
)


def strokes_of(labels: np.ndarray) -> Strokes:
    voxels = np.argwhere(labels)
    return Strokes(voxels, labels[tuple(voxels.T)].astype(np.int64), labels.shape)


class MakeItem(Protocol):
    def __call__(
        self, data: np.ndarray, markers: np.ndarray, axes: str = 'YX', key: str = 'a'
    ) -> Item: ...


class Carry(Protocol):
    def __call__(self, session: Session, request: LearnRequest, name: str = 'learning') -> None: ...


@pytest.fixture
def paint() -> Callable[[np.ndarray], Strokes]:
    """Strokes of an array of labels."""
    return strokes_of


@pytest.fixture
def make_item() -> MakeItem:
    """An item of one image, or of a stack with the same markers on its first image."""

    def make(data: np.ndarray, markers: np.ndarray, axes: str = 'YX', key: str = 'a') -> Item:
        spacing = (1.0,) * sum(letter in 'ZYX' for letter in axes)
        source = ImageSource(key, f'image {key}', data, axes, spacing)
        return Item(source, {0: strokes_of(markers)}, f'markers {key}')

    return make


@pytest.fixture
def item(scene, make_item: MakeItem) -> Item:
    return make_item(scene.image, scene.markers)


_LEARNED: list[Learned] = []


@pytest.fixture
def learned(item: Item) -> Learned:
    """Three blocks learned from the item; learned once, since nobody can change it."""
    if not _LEARNED:
        images = training_images([item], FIRST_CLASSES)
        _LEARNED.append(finish(learn(LearnRequest(images, SETTINGS, (), 3, 0, ()))))
    return _LEARNED[0]


@pytest.fixture
def fresh(item: Item) -> Session:
    """A painted item and settings; nothing is learned yet."""
    return Session(items=(item,), state=State(SETTINGS), current='a')


@pytest.fixture
def session(fresh: Session, learned: Learned) -> Session:
    """The same, after learning."""
    fresh.state = State(SETTINGS, learned)
    return fresh


@pytest.fixture
def carry_out() -> Carry:
    """Learn what was planned, as the bridge does, but at once."""

    def carry(session: Session, request: LearnRequest, name: str = 'learning') -> None:
        edits = KernelEdits()
        if session.learned is not None:
            edits = edits_after(session.edits, session.learned, len(request.start))
        made = finish(learn(request))
        session.change(name, State(session.settings, made, edits), repeats=name == 'live')

    return carry


@pytest.fixture
def stroke() -> Callable[[Session], None]:
    """Paint one more voxel of background on the first item."""

    def add(session: Session) -> None:
        first = session.items[0]
        old = first.strokes[0]
        voxel = np.array([[0, len(old) % 40]])
        more = Strokes(
            np.concatenate([old.coordinates, voxel]), np.append(old.labels, 1), old.shape
        )
        session.put_item(replace(first, strokes={0: more}))

    return add
