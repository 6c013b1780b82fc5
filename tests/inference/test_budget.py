import pytest

from napari_flim.engine.architecture import Architecture, Block, preset
from napari_flim.errors import MemoryBudgetError
from napari_flim.inference.budget import SAFETY, plan_tiles, working_memory
from napari_flim.inference.memory import applying_bytes

ARCHITECTURE = Architecture((Block(channels=16, stride=2), Block(channels=16)))


@pytest.mark.parametrize(
    ('shape', 'working'), [((3000, 2000), 10**8), ((200, 300, 250), 5 * 10**8)]
)
def test_every_tile_stays_within_the_budget(shape, working):
    halo = ARCHITECTURE.halo(len(shape))
    plan = plan_tiles(ARCHITECTURE, shape, 3, halo, working)
    assert len(plan) > 1
    for tile in plan:
        read = [part.stop - part.start for part in tile.read]
        assert applying_bytes(ARCHITECTURE, read, 3) <= SAFETY * working


def test_more_memory_gives_fewer_tiles():
    shape = (3000, 2000)
    counts = [
        len(plan_tiles(ARCHITECTURE, shape, 3, (9, 9), working))
        for working in (5 * 10**7, 2 * 10**8, 10**10)
    ]
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] == 1


def test_an_image_that_fits_is_one_tile():
    architecture = preset('small')
    assert len(plan_tiles(architecture, (400, 400), 3, (9, 9), 10**9)) == 1


def test_a_budget_too_small_for_any_tile_says_how_much_is_needed():
    with pytest.raises(MemoryBudgetError, match=r'smallest part .* needs .* give more memory'):
        plan_tiles(ARCHITECTURE, (3000, 2000), 3, (40, 40), 10**5)


def test_a_budget_below_what_the_program_holds_is_refused():
    with pytest.raises(MemoryBudgetError, match='already holds'):
        working_memory(10**6)


def test_without_a_budget_a_quarter_of_the_free_memory_is_used(monkeypatch):
    class Memory:
        available = 8 * 10**9

    monkeypatch.setattr('psutil.virtual_memory', Memory)
    assert working_memory(None) == 2 * 10**9


def test_a_budget_counts_what_the_program_holds_already():
    assert 0 < working_memory(10**11) < 10**11
