"""``napari-flim compare`` as a user types it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from skimage.io import imsave
from typer.testing import CliRunner

from napari_flim.api import learn
from napari_flim.cli.app import app


def run(*arguments: object, expect: int = 0) -> str:
    outcome = CliRunner().invoke(app, ['compare', *(str(a) for a in arguments)])
    assert outcome.exit_code == expect, outcome.output
    assert 'Traceback' not in outcome.output
    return ' '.join(outcome.output.replace('│', ' ').split())


def numbers_of(text: str, method: str) -> list[str]:
    """What stands in the row of a method."""
    return text.split(f'{method} ')[1].split()[:7]


def test_one_table_compares_ours_with_the_forest(folders: Path) -> None:
    images, markers = folders / 'images', folders / 'markers'
    text = run(images, '--markers', markers, '--truth', folders / 'masks')
    for method in ('FLIM (mean decoder)', 'FLIM (linear decoder)', 'scikit-image random forest'):
        share, sign, error, dice, worst, learned, applied = numbers_of(text, method)
        assert sign == '±'
        assert 0 <= float(error) < float(share) <= 1
        assert 0 < float(worst) <= float(dice) <= 1
        assert min(float(learned), float(applied)) >= 0
    assert 'Held-out agreement: markers of 2 marked images left out in 4 parts' in text
    assert 'Dice: of 1 image without markers.' in text


def test_a_model_gets_a_row_of_its_own_and_no_agreement(folders: Path) -> None:
    image, mark = folders / 'images' / '0.png', folders / 'markers' / '0.png'
    learn(image, mark, 'flyweight').save(folders / 'mine.flim')
    text = run(image, '--markers', folders / 'markers', '--model', folders / 'mine.flim')
    assert numbers_of(text, 'mine.flim')[:4] == ['-', '-', '-', '-']
    # One object marker in all: it cannot be left out.
    assert numbers_of(text, 'scikit-image random forest')[:3] == ['-', '-', '-']
    assert 'Held-out agreement needs two markers of every class.' in text
    assert 'Dice' in text
    assert 'Dice: of' not in text


def test_dice_of_images_that_were_learned_from_is_called_that(folders: Path) -> None:
    image = folders / 'images' / '0.png'
    text = run(image, '--markers', folders / 'markers', '--truth', folders / 'masks')
    assert 'Dice: of 1 image that taught the methods, since no other has a truth.' in text


def test_what_is_missing_is_a_usage_error(folders: Path) -> None:
    images, markers, empty = folders / 'images', folders / 'markers', folders / 'empty'
    empty.mkdir()
    text = run(images, '--markers', empty, expect=2)
    assert 'None of the 3 images has a marker file' in text
    text = run(images, '--markers', markers, '--truth', empty, expect=2)
    assert 'None of the 3 images has a mask' in text
    text = run(images, '--markers', markers, '--model', empty / 'no.flim', expect=2)
    assert 'does not exist; check the path' in text


def test_a_mask_of_another_shape_is_named(folders: Path) -> None:
    mask = folders / 'masks' / '1.png'
    imsave(mask, np.ones((9, 9), np.uint8), check_contrast=False)
    text = run(
        folders / 'images', '--markers', folders / 'markers', '--truth', folders / 'masks', expect=1
    )
    assert '1.png has shape (48, 48), but its truth (9, 9)' in text


def test_help_says_which_peer_is_left_out_and_why() -> None:
    assert 'napari-convpaint is not among them: it downloads its networks' in run('--help')
