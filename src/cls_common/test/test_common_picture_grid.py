"""Named pictures in one image, and back."""

import numpy as np
import pytest

from cls_common import picture_grid


def pictures(count: int, width: int = 200) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    return {f'move={i}': generator.integers(256, size=(100, width, 3), dtype=np.uint8) for i in range(count)}


@pytest.mark.parametrize('count', [1, 2, 3, 5, 12])
def test_a_grid_is_split_into_the_pictures_it_was_made_of(count):
    given = pictures(count)
    grid = picture_grid.join(given)
    assert grid.shape == (-(-count // 3) * (100 + picture_grid.BAND), min(count, 3) * 200, 3)
    found = picture_grid.split(grid, count)
    assert len(found) == count and all(map(np.array_equal, found, given.values()))


def test_names_stand_above_their_pictures_and_small_pictures_are_enlarged():
    grid = picture_grid.join(pictures(2, width=50))
    assert grid.shape == (400 + picture_grid.BAND, 2 * 200, 3)
    bands = grid[: picture_grid.BAND, :200], grid[: picture_grid.BAND, 200:]
    assert all(band.max() > 200 for band in bands) and not np.array_equal(*bands)
    [first, _] = picture_grid.split(grid, 2)
    assert np.array_equal(first[::4, ::4], pictures(2, width=50)['move=0'])


@pytest.mark.parametrize('count', [0, 4, 7])
def test_an_image_that_is_no_such_grid_is_refused(count):
    with pytest.raises(ValueError, match='no grid'):
        picture_grid.split(np.zeros((101, 200, 3), np.uint8), count)
