"""Jobs report how far they are, alone and as part of longer ones."""

from __future__ import annotations

import pytest

from napari_flim.progress import Progress, finish, part_of


def counting(steps: int, closed: list[bool] | None = None):
    try:
        for step in range(1, steps + 1):
            yield Progress('counting', step, steps)
    finally:
        if closed is not None:
            closed.append(True)
    return steps


def test_a_part_counts_within_the_longer_job_and_keeps_its_result() -> None:
    seen: list[Progress] = []
    assert finish(part_of(counting(2), before=3, total=9), seen.append) == 2
    assert [(s.stage, s.done, s.total) for s in seen] == [('counting', 4, 9), ('counting', 5, 9)]


def test_without_a_total_the_part_ends_the_longer_job() -> None:
    seen: list[Progress] = []
    finish(part_of(counting(2), before=3), seen.append)
    assert [(s.done, s.total) for s in seen] == [(4, 5), (5, 5)]


def test_an_error_inside_a_part_reaches_the_caller() -> None:
    def failing():
        yield Progress('failing', 1, 2)
        raise ValueError('no more')

    with pytest.raises(ValueError, match='no more'):
        finish(part_of(failing(), before=0))


def test_stopping_the_longer_job_stops_its_part() -> None:
    closed: list[bool] = []
    inner = counting(3, closed)
    job = part_of(inner, before=0)
    next(job)
    job.close()
    del inner
    assert closed == [True]
