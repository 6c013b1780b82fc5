"""Choosing an encoder and a decoder by how well they tell markers that they have not seen.

Every candidate is learned several times, each time without some of the markers (whole images, where
several are marked), kernels and all, and asked for the class of what was left out. No single
configuration suits all images; what was left out tells which one suits these.
"""

from napari_flim.choosing.configurations import AUTO, Candidate, candidates
from napari_flim.choosing.search import SECONDS, choose, learn_chosen
from napari_flim.choosing.verdict import Choice, Tried, pick

__all__ = [
    'AUTO',
    'SECONDS',
    'Candidate',
    'Choice',
    'Tried',
    'candidates',
    'choose',
    'learn_chosen',
    'pick',
]
