"""A run in a process of its own that is killed again and again."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from napari_flim.batch import CarriedModel, Outputs, plan, run
from napari_flim.batch.report import read_earlier_run

KILLS = 10
OUTPUTS = ('--saliency', '--objects', '--outlines')


@pytest.mark.skipif(sys.platform == 'win32', reason='Windows has no SIGKILL')
def test_a_run_that_is_killed_ten_times_loses_nothing_and_repeats_nothing(
    carried_model: CarriedModel, make_images, tmp_path: Path
) -> None:
    images, out = make_images(40, size=160), tmp_path / 'out'
    model = tmp_path / 'squares.flim'
    model.write_bytes(carried_model.content)
    chance = random.Random(0)
    finished: dict[str, int] = {}
    code = 'from napari_flim.cli import main; main()'
    arguments = ['segment', str(model), str(images), '--out', str(out), '--resume', *OUTPUTS]
    command = [sys.executable, '-c', code, *arguments]
    for _ in range(KILLS):
        begun, files = _beginning(out), _rows(out)
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        # Importing torch takes most of the time, and is not what is to be hit.
        more = chance.randint(0, 4)
        while process.poll() is None and (_beginning(out) == begun or _rows(out) < files + more):
            time.sleep(0.001)
        time.sleep(chance.uniform(0, 0.1))
        process.send_signal(signal.SIGKILL)
        assert process.wait() in (-signal.SIGKILL, 0)
        earlier = read_earlier_run(out)
        for row in earlier.done if earlier else ():
            written = max((out / name).stat().st_mtime_ns for name in row.results)
            assert finished.setdefault(row.file, written) == written, 'done a second time'
    assert finished
    last = subprocess.run(command, check=True, capture_output=True, text=True)
    assert f'{len(finished)} files were finished before' in last.stderr
    assert '40 of 40 files are segmented' in last.stderr
    outputs = Outputs(saliency=True, table=True, outlines=True)
    list(run(plan(carried_model, [images], tmp_path / 'whole', outputs)))
    names = {path.name for path in (tmp_path / 'whole').iterdir()}
    assert {path.name for path in out.iterdir()} == names
    for name in names - {'run.json', 'report.csv'}:
        assert (out / name).read_bytes() == (tmp_path / 'whole' / name).read_bytes(), name


def _beginning(out: Path) -> int:
    """Another number when a run has begun or goes on."""
    header = out / 'run.json'
    return header.stat().st_mtime_ns if header.exists() else 0


def _rows(out: Path) -> int:
    report = out / 'report.csv'
    return len(report.read_text().splitlines()[1:]) if report.exists() else 0
