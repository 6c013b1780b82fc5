"""What images of a saved session are recognised by, though their layers and files change names."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace

from napari_flim.io.image_digest import comparable, image_digest
from napari_flim.io.session_file import SavedImage, SavedSession
from napari_flim.progress import Job, Progress
from napari_flim.session.saved_images import AbsentArray
from napari_flim.session.saving import saved_session
from napari_flim.session.session import Session
from napari_flim.session.sources import ImageSource

logger = logging.getLogger(__name__)

Digests = Mapping[tuple[object, ...], str]
"""By `ImageSource.content`."""


def recognised(session: Session, known: Digests) -> Job[tuple[SavedSession, Digests]]:
    """A session as plain data, with what its images are recognised by; reads some of their voxels.

    Parameters
    ----------
    session : Session
        That nobody changes; see `copy_of`.
    known : mapping
        Digests from an earlier time.

    Returns
    -------
    saved : SavedSession
    digests : mapping
        To be given as ``known`` the next time.
    """
    sources = [item.source for item in session.items]
    digests: dict[tuple[object, ...], str] = {}
    for number, source in enumerate(sources):
        yield Progress(f'recognising {source.name}', number, len(sources))
        digests[source.content] = known.get(source.content) or digest_of_voxels(source)
    yield Progress('writing', len(sources), len(sources))
    return with_digests(session, digests), digests


def with_digests(session: Session, known: Digests) -> SavedSession:
    """A session as plain data, with what is known already of its images; reads none of them."""
    saved = saved_session(session)
    pairs = zip(saved.images, session.items, strict=True)
    images = tuple(replace(one, digest=_known_digest(item.source, known)) for one, item in pairs)
    return replace(saved, images=images)


def compared(
    pairs: Sequence[tuple[SavedImage, ImageSource]],
) -> Job[tuple[tuple[str, ...], Digests]]:
    """Compare images that are open with those of a saved session; reads some of their voxels.

    Parameters
    ----------
    pairs : sequence of (SavedImage, ImageSource)

    Returns
    -------
    names : tuple of str
        Of the images with other voxels, as far as their digests can be compared.
    digests : mapping
        See `recognised`.
    """
    digests: dict[tuple[object, ...], str] = {}
    for number, (_, source) in enumerate(pairs):
        yield Progress(f'recognising {source.name}', number, len(pairs))
        digests[source.content] = digest_of_voxels(source)
    names = tuple(
        image.name
        for image, source in pairs
        if comparable(image.digest, image.shape) not in ('', digests[source.content])
    )
    return names, digests


def digest_of_voxels(source: ImageSource) -> str:
    """See `napari_flim.io.image_digest.image_digest`; empty for an image that cannot be read.

    Its strokes are worth saving all the same.
    """
    if isinstance(source.data, AbsentArray):
        return source.data.digest
    try:
        return image_digest(source.data, source.axes)
    except Exception:
        # What is behind a lazy array, a file or a server, may fail in any way.
        logger.exception('%s cannot be read, so it will not be recognised', source.name)
        return ''


def _known_digest(source: ImageSource, known: Digests) -> str:
    absent = source.data.digest if isinstance(source.data, AbsentArray) else ''
    return known.get(source.content, absent)
