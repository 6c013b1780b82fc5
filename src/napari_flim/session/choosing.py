"""Choosing an encoder and a decoder by markers left out: the job, and what follows from it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from napari_flim.delineation.changes import for_probabilities
from napari_flim.engine.decoder_settings import DecoderSettings
from napari_flim.engine.preprocessing import KINDS_TO_SCALE, InputTransform
from napari_flim.progress import Job, Progress
from napari_flim.session.items import TrainingImage, digest_of
from napari_flim.session.kernel_edits import KernelEdits
from napari_flim.session.learned import Learned
from napari_flim.session.problems import learned_whole
from napari_flim.session.session import Session
from napari_flim.session.settings import Settings, with_architecture

if TYPE_CHECKING:
    from napari_flim.choosing import Choice


@dataclass(frozen=True, eq=False)
class ChoiceRequest:
    """What to choose for.

    Attributes
    ----------
    images : tuple of TrainingImage
    settings : Settings
        What is tried takes the place of their architecture, input and decoder.
    learned : Learned, optional
    edits : KernelEdits
    budget : int
        Bytes up to which images are read as a whole.
    """

    images: tuple[TrainingImage, ...]
    settings: Settings
    learned: Learned | None
    edits: KernelEdits
    budget: int

    @classmethod
    def of(cls, session: Session, budget: int) -> ChoiceRequest:
        """For a session as it is now."""
        images = session.training_images()
        return cls(images, session.settings, session.learned, session.edits, budget)

    @property
    def digest(self) -> str:
        """Short text that changes with any stroke."""
        return digest_of(self.images)

    def still_holds(self, session: Session) -> bool:
        """Whether nothing was painted, learned or decided since that a choice would run over.

        How objects are found may have changed.
        """
        now = ChoiceRequest.of(session, self.budget)
        delineation, sizes = now.settings.delineation, now.settings.sizes_from
        settings = replace(self.settings, delineation=delineation, sizes_from=sizes)
        mine = (self.digest, settings, self.learned, self.edits)
        return mine == (now.digest, now.settings, now.learned, now.edits)


def choose(request: ChoiceRequest) -> Job[Choice]:
    """Choose among the usual candidates by markers that are left out.

    Parameters
    ----------
    request : ChoiceRequest

    Yields
    ------
    Progress

    Raises
    ------
    napari_flim.errors.FlimError
        With a message for the user.
    """
    yield Progress('preparing', 0, 1)
    from napari_flim import choosing

    settings = request.settings
    plain = plain_input(settings.transform)
    whole = learned_whole(settings, [one.source for one in request.images], request.budget)
    libift = plain.kind == 'libift'
    pairs = [image.read(across_classes=libift, whole=whole) for image in request.images]
    return (
        yield from choosing.choose(
            [image for image, _ in pairs],
            [markers for _, markers in pairs],
            candidates=choosing.candidates(multiscale=plain.kind in KINDS_TO_SCALE),
            transform=plain,
            fixed_ranges=settings.fixed_ranges,
            options=settings.options,
        )
    )


def plain_input(transform: InputTransform) -> InputTransform:
    """What block 1 reads of candidates without multi-scale input.

    Examples
    --------
    >>> plain_input(InputTransform(kind='multiscale')).kind
    'auto'
    """
    return replace(transform, kind='auto') if transform.kind == 'multiscale' else transform


def with_choice(settings: Settings, choice: Choice) -> Settings:
    """The settings with the architecture, the input and the decoder that won.

    The threshold follows, unless the user has chosen one.
    """
    winner = choice.winner
    decoder = DecoderSettings(winner.decoder)
    delineation = settings.delineation
    probable = decoder.name == 'linear'
    if probable != (settings.decoder.name == 'linear'):
        delineation = for_probabilities(delineation, probable)
    return replace(
        with_architecture(settings, winner.architecture),
        transform=winner.transform(plain_input(settings.transform)),
        decoder=decoder,
        delineation=delineation,
    )


@dataclass(frozen=True, eq=False)
class Chosen:
    """A choice, and the markers that it was made by.

    Attributes
    ----------
    choice : Choice
    digest : str
        Of all strokes at that time.
    """

    choice: Choice
    digest: str

    def markers_changed(self, session: Session) -> bool:
        """Whether the markers of a session are no longer those."""
        return digest_of(session.training_images()) != self.digest

    def words(self) -> str:
        """What was chosen, in a sentence; with the reason if nothing could be compared."""
        choice = self.choice
        if not choice.tried:
            return f'Chosen: {choice.winner.words()}. {choice.reason}'
        return f'Chosen of {len(choice.tried)} that were tried: {choice.winner.words()}.'

    def rows(self) -> tuple[TriedRow, ...]:
        """What was tried, as rows of a table."""
        return tuple(
            TriedRow(
                configuration=one.candidate.words(),
                agreement=f'{one.agreement:.3f}'
                + ('' if one.error is None else f' ± {one.error:.3f}'),
                error=f'{one.surprise:.4f}',
                is_winner=one.candidate == self.choice.winner,
            )
            for one in self.choice.tried
        )


@dataclass(frozen=True, slots=True)
class TriedRow:
    """One configuration in words.

    Attributes
    ----------
    configuration : str
    agreement : str
        Share of left-out voxels that got their class, with its standard error.
    error : str
        Mean squared error of the probability of the right class.
    is_winner : bool
    """

    configuration: str
    agreement: str
    error: str
    is_winner: bool
