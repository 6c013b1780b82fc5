"""The table of objects, as the dock shows it and as it is saved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_flim.progress import Job, Progress
from napari_flim.session.delineating import Draft
from napari_flim.session.object_words import unit_of

if TYPE_CHECKING:
    import pandas

ACCEPTED = 'accepted'


def measured(draft: Draft) -> Job[pandas.DataFrame]:
    """Measures of all objects.

    Parameters
    ----------
    draft : Draft

    Returns
    -------
    pandas.DataFrame
        See `napari_flim.delineation.measure.measure`; and a last column ``accepted``, whether the
        user has accepted the object.
    """
    yield Progress('measuring objects', 0, 1)
    from napari_flim.delineation.measure import measure

    target = draft.material.target
    source = target.source
    unit = unit_of(source)
    frame = measure(
        draft.objects(),
        spacing=source.spacing,
        image=source.frame(target.frame).in_memory().data,
        saliency=draft.material.saliency,
        unit='' if unit == 'px' else unit,
    )
    frame[ACCEPTED] = frame['label'].isin(list(draft.corrections.decisions.accepted))
    return frame
