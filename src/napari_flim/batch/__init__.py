"""Runs over many files: `plan` what to do, `run` it, go on after a crash; `preview` one file.

Importing it imports neither torch nor dask.

Examples
--------
>>> from napari_flim import load
>>> from napari_flim.batch import Outputs, carried, plan, run
>>> model = carried(load('eggs.flim'), Path('eggs.flim'))  # doctest: +SKIP
>>> events = list(run(plan(model, ['slides'], 'out', Outputs(table=True))))  # doctest: +SKIP
"""

from napari_flim.batch.carried_model import CarriedModel, carried
from napari_flim.batch.events import Advanced, Done, Event, Failed, Skipped, Started, Summary
from napari_flim.batch.orders import Orders
from napari_flim.batch.outputs import Outputs
from napari_flim.batch.plan import BatchPlan, plan
from napari_flim.batch.preview import Preview, preview
from napari_flim.batch.run import run
from napari_flim.batch.tasks import FileTask

__all__ = [
    'Advanced',
    'BatchPlan',
    'CarriedModel',
    'Done',
    'Event',
    'Failed',
    'FileTask',
    'Orders',
    'Outputs',
    'Preview',
    'Skipped',
    'Started',
    'Summary',
    'carried',
    'plan',
    'preview',
    'run',
]
