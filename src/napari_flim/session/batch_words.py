"""What is said of a run over files: what was found, what a button will do, and how it stands."""

from __future__ import annotations

from datetime import datetime

from napari_flim.batch import Preview
from napari_flim.session.batch_choices import BatchChoices
from napari_flim.session.batch_files import FileRow
from napari_flim.session.batch_found import Found, Kind
from napari_flim.session.batch_run import BatchRun
from napari_flim.session.words import count_words, seconds_words

MINUTE, HOUR = 60, 3600
LONG = 1.5
"""A time of so many minutes or hours is said in them."""
MOST_SIZES = 1
NAMED = 3


def found_words(found: Found) -> str:
    """How many files there are, and what they hold.

    Examples
    --------
    >>> kinds = (Kind((48, 48), True, 3, 1), Kind((40, 48), True, 3, 1))
    >>> found_words(Found((), 0, kinds, (), None))
    '0 files, 2 sizes, RGB'
    """
    words = [count_words(len(found.tasks), 'file'), *_kinds_words(found.kinds)]
    said = ', '.join(words)
    if found.looked_at < len(found.tasks):
        said += f' (of the first {found.looked_at})'
    parts = [said]
    if found.left_out:
        parts.append(f'{count_words(found.left_out, "result")} of earlier runs left out')
    if found.unreadable:
        names = ', '.join(found.unreadable[:NAMED])
        more = ', ...' if len(found.unreadable) > NAMED else ''
        parts.append(f'{len(found.unreadable)} cannot be read: {names}{more}')
    return '; '.join(parts)


def _kinds_words(kinds: tuple[Kind, ...]) -> list[str]:
    if not kinds:
        return []
    shapes = {kind.shape for kind in kinds}
    sizes = f'{len(shapes)} sizes'
    if len(shapes) <= MOST_SIZES:
        sizes = ' x '.join(map(str, kinds[0].shape))
    colours = sorted({_colour(kind) for kind in kinds})
    words = [sizes, ' and '.join(colours)]
    if any(len(kind.shape) > 2 for kind in kinds):
        words.append('volumes' if all(len(kind.shape) > 2 for kind in kinds) else 'some volumes')
    images = max(kind.images for kind in kinds)
    if images > 1:
        words.append(f'stacks of up to {images} images')
    return words


def _colour(kind: Kind) -> str:
    if kind.rgb:
        return 'RGB'
    return 'grey' if kind.channels == 1 else f'{kind.channels} channels'


def earlier_words(found: Found) -> str:
    """What an earlier run has left in the folder for results."""
    if found.earlier is None:
        return ''
    header = found.earlier.header
    total = max(len(header['inputs']), len(found.earlier.rows))
    begun = _date(header['started'])
    return (
        f'The folder holds a run of {begun} with {header["model"].get("name", "a model")}; '
        f'{len(found.earlier.done)} of {count_words(total, "file")} are done.'
    )


def _date(text: str) -> str:
    try:
        return f'{datetime.fromisoformat(text):%Y-%m-%d, %H:%M}'
    except ValueError:
        return text


def start_words(choices: BatchChoices, found: Found | None) -> str:
    """What the main button will do."""
    if found is None:
        return 'Segment files'
    files = count_words(len(found.tasks), 'file')
    if found.earlier is None:
        return f'Segment {files}'
    if choices.earlier == 'overwrite':
        return f'Overwrite: segment {files}'
    return f'Resume: {found.left} of {files} left' if found.left else f'Resume: check {files}'


def duration_words(seconds: float) -> str:
    """A time as people say it.

    Examples
    --------
    >>> duration_words(36), duration_words(200), duration_words(9000)
    ('36 s', '3 min', '2.5 h')
    """
    if seconds < LONG * MINUTE:
        return f'{max(1, round(seconds))} s'
    if seconds < LONG * HOUR:
        return f'{round(seconds / MINUTE)} min'
    return f'{seconds / HOUR:.1f} h'


def seconds_left(run: BatchRun) -> float | None:
    """How long the files that are left will take, judged by their bytes; None before any is done.

    Where a size is not known, as of folders, all files count alike.
    """
    timed = [
        row for row in run.rows_in('done') if row.seconds is not None and not _is_kept(run, row)
    ]
    left = [*run.rows_in('waiting'), *run.rows_in('running')]
    if not timed:
        return None
    alike = any(not row.size for row in [*timed, *left])
    weight = sum(1 if alike else row.size for row in timed)
    rest = sum((1 if alike else row.size) * (1 - row.share) for row in left)
    return sum(row.seconds or 0.0 for row in timed) / weight * rest


def _is_kept(run: BatchRun, row: FileRow) -> bool:
    return run.task_of(row) is None


def progress_words(run: BatchRun) -> str:
    """How far a run is."""
    if run.phase == 'preparing':
        return 'Preparing ...'
    words = f'{run.ended} of {count_words(len(run.rows), "file")}'
    failed = run.count('failed')
    if failed:
        words += f', {failed} failed'
    if run.phase == 'stopping':
        return f'{words}. Stopping after the present step ...'
    left = seconds_left(run)
    if left is not None:
        words += f'; {duration_words(left)} left'
    if run.phase == 'paused':
        return f'Paused. {words}.'
    return words + ''.join(
        f'\n{row.source.name}: {row.stage} ...' for row in run.rows_in('running')[:1] if row.stage
    )


def ended_words(run: BatchRun) -> str:
    """What came of a run that was not stopped."""
    summary = run.summary
    if summary is None:
        return ''
    parts = [f'{count_words(summary.done, "file")} done']
    for number, word in ((summary.failed, 'failed'), (summary.skipped, 'skipped')):
        if number:
            parts.append(f'{number} {word}')
    words = f'{", ".join(parts)} in {duration_words(summary.seconds)}'
    if summary.earlier:
        words += f', {summary.earlier} before'
    words += f'; {count_words(summary.objects, "object")}. Results are in {summary.folder}.'
    if summary.failed:
        words += ' Select a file that failed to read why.'
    return words


def stopped_words(run: BatchRun) -> str:
    """What is left of a run that was stopped."""
    done, total = run.count('done'), len(run.rows)
    return f'Stopped: {done} of {count_words(total, "file")} are done. Resume goes on from there.'


def preview_words(preview: Preview) -> str:
    """What was found on the first file."""
    words = f'{preview.image.name}: {count_words(len(preview.objects.classes), "object")} in '
    words += f'{seconds_words(preview.seconds)}.'
    if preview.images > 1:
        words += f' It is the first of {preview.images} images of its file.'
    return words


def estimate(found: Found, preview: Preview, left: int) -> float:
    """Seconds that so many files will take, if all take as long for a byte as the first one.

    Parameters
    ----------
    found : Found
    preview : Preview
        Of the first file.
    left : int
        Files that are to be segmented.
    """
    each = preview.seconds * preview.images
    sizes = [task.size for task in found.tasks]
    share = sum(sizes) / sizes[0] / len(sizes) if all(sizes) else 1.0
    return each * share * left


SIGNS = {
    'waiting': '\N{WHITE CIRCLE}',
    'running': '\N{BLACK RIGHT-POINTING TRIANGLE}',
    'done': '\N{CHECK MARK}',
    'failed': '\N{WARNING SIGN}',
    'skipped': '\N{EN DASH}',
}
PERCENT = 100


def state_of(row: FileRow) -> str:
    """State of a file in the table.

    Examples
    --------
    >>> from pathlib import Path
    >>> state_of(FileRow(Path('a.tif'), 'failed', note='2 channels'))
    'failed: 2 channels'
    """
    if row.state == 'running' and row.stage:
        return f'running, {round(PERCENT * row.share)} %: {row.stage}'
    if row.state == 'failed':
        return f'failed: {_without_name(row)}'
    return row.state


def about(row: FileRow) -> str:
    """All that is known of a file.

    Examples
    --------
    >>> from pathlib import Path
    >>> about(FileRow(Path('a.tif'), 'done', 3, 0.52, 'a.tif has an alpha channel.'))
    'a.tif: done, 3 objects in 0.52 s. a.tif has an alpha channel.'
    """
    words = f'{row.source.name}: {state_of(row)}'
    if row.state == 'done' and row.objects is not None and row.seconds is not None:
        words += f', {count_words(row.objects, "object")} in {seconds_words(row.seconds)}.'
        words += f' {row.note}' * bool(row.note)
    return words


def _without_name(row: FileRow) -> str:
    """Why a file has failed, without its name before it, which is shown beside."""
    for name in (str(row.source), row.source.name):
        if row.note.startswith(name):
            return row.note.removeprefix(name).lstrip(': ')
    return row.note
