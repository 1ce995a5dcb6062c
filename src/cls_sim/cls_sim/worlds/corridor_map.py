"""Corridors with bends on a grid: places, steps, shortest paths, pairs of start and goal, and pictures.

A place is (column, row), from the upper left corner of the grid.
"""

from collections import deque
from dataclasses import dataclass
import itertools

import numpy as np
from numpy.typing import NDArray

from cls_common.errors import UserError
from cls_common.settings import setting, Settings

from ..noise import generator, Image
from .pan_tilt import SIDE

Place = tuple[int, int]
# Change of the place by each action.
STAY, LEFT, RIGHT, UP, DOWN = range(5)
MOVES = ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1))
WALL, AGENT = (90, 90, 90), (255, 255, 255)  # on black
# Bends of a corridor, in shares of the free width and height.
_BENDS = {
    'u': ((0.0, 0.0), (0.0, 1.0), (1.0, 1.0), (1.0, 0.0)),
    's': ((0.0, 0.0), (1.0, 0.0), (1.0, 0.5), (0.0, 0.5), (0.0, 1.0), (1.0, 1.0)),
    'spiral': ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0), (0.0, 0.5), (0.5, 0.5)),
}
_MAZE = 'maze'
_MAZE_STREAM = 3


@dataclass(frozen=True, kw_only=True)
class CorridorSettings(Settings):
    """Settings of the corridor."""

    cell: int = setting(14, 'width of a cell of the grid, a divisor of 224', unit='pixels', low=7, high=32)
    layout: str = setting('u', 'form of the corridor', choices=(*_BENDS, _MAZE))
    number: int = setting(0, 'number of the maze, of the layout maze', low=0, high=2**31)
    width: int = setting(2, 'width of the corridor', unit='cells', low=1, high=8)
    separation: int = setting(20, 'least steps from start to goal, by the shortest path', low=1)
    detour: float = setting(
        2.0, 'least ratio of the steps from start to goal and those without walls', low=1.0, high=100.0
    )
    episode: int = setting(100, 'actions of an episode, which is then truncated; 0: endless', low=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if SIDE % self.cell:
            divisors = [str(cell) for cell in range(7, 33) if SIDE % cell == 0]
            raise UserError("parameter 'cell'", expected='one of ' + ', '.join(divisors), found=str(self.cell))


class CorridorMap:
    """One corridor.

    Attributes:
        is_free: whether each cell can be entered, bool (rows, columns).
        places: all free cells.

    Raises:
        UserError: no two places are as far apart as the settings require.
    """

    def __init__(self, settings: CorridorSettings) -> None:
        self._settings = settings
        size = SIDE // settings.cell
        inside = size - 2
        free = _maze(inside, settings) if settings.layout == _MAZE else _bent(inside, settings)
        self.is_free = np.pad(free, 1)
        self.places: list[Place] = [(int(x), int(y)) for y, x in np.argwhere(self.is_free)]
        self._steps: dict[Place, dict[Place, int]] = {}
        self._drawn: dict[int, Image] = {}
        if not any(map(self.goals, self.places)):
            longest = max(self.distance(a, b) for a in self.places for b in self.places)
            raise UserError(
                "parameters 'separation' and 'detour'",
                expected=f'places so far apart in a corridor whose longest path has {longest} steps',
                found=f'{settings.separation} and {settings.detour}',
                do='Take smaller cells, another layout or smaller values.',
            )

    def advance(self, place: Place, action: int) -> Place:
        """Returns the place after an action, 0 to 4: stay, left, right, up, down; a wall stops it."""
        right, down = MOVES[action]
        x, y = place[0] + right, place[1] + down
        return (x, y) if self.is_free[y, x] else place

    def distance(self, start: Place, goal: Place) -> int:
        """Returns the steps of the shortest path between two free places."""
        for place in (start, goal):
            self.check(place)
        return self._steps_from(start)[goal]

    def goals(self, start: Place) -> list[Place]:
        """Returns the places that are as far from a start as `separation` and `detour` require."""
        own = self._settings
        return [
            goal
            for goal, steps in self._steps_from(start).items()
            if steps >= max(own.separation, own.detour * (abs(goal[0] - start[0]) + abs(goal[1] - start[1])))
        ]

    def draw_pair(self, draws: np.random.Generator) -> tuple[Place, Place]:
        """Draws a start among the places that have goals, and one of its goals."""
        start, goals = next(
            (self.places[i], goals)
            for i in draws.permutation(len(self.places))
            if (goals := self.goals(self.places[i]))
        )
        return start, goals[draws.integers(len(goals))]

    def render(self, place: Place, cell: int = 0) -> Image:
        """Draws walls and agent.

        Args:
            cell: pixels of a cell; 0: as in the settings, so that a side has 224 pixels.

        Returns:
            uint8 (side, side, 3) RGB.
        """
        self.check(place)
        pixels = cell or self._settings.cell
        image = self._walls(pixels).copy()
        x, y = place[0] * pixels, place[1] * pixels
        image[y : y + pixels, x : x + pixels] = AGENT
        return image

    def check(self, place: Place) -> None:
        """Raises UserError if a place is not free."""
        x, y = place
        if not (0 <= x < len(self.is_free) and 0 <= y < len(self.is_free) and self.is_free[y, x]):
            raise UserError('place in the corridor', expected='column and row of a free cell', found=str(place))

    def _walls(self, pixels: int) -> Image:
        if pixels not in self._drawn:
            colours = np.where(self.is_free[..., None], np.uint8(0), np.array(WALL, np.uint8))
            self._drawn[pixels] = colours.repeat(pixels, 0).repeat(pixels, 1)
        return self._drawn[pixels]

    def _steps_from(self, start: Place) -> dict[Place, int]:
        if start not in self._steps:
            steps, queue = {start: 0}, deque([start])
            while queue:
                place = queue.popleft()
                for action in (LEFT, RIGHT, UP, DOWN):
                    after = self.advance(place, action)
                    if after not in steps:
                        steps[after] = steps[place] + 1
                        queue.append(after)
            self._steps[start] = steps
        return self._steps[start]


def _bent(size: int, settings: CorridorSettings) -> NDArray[np.bool_]:
    """Returns the free cells (size, size) of a corridor through the bends of a layout."""
    free, width = np.zeros((size, size), np.bool_), settings.width
    bends = [(round(x * (size - width)), round(y * (size - width))) for x, y in _BENDS[settings.layout]]
    for (x, y), (other_x, other_y) in itertools.pairwise(bends):
        left, top = min(x, other_x), min(y, other_y)
        free[max(top, 0) : max(y, other_y) + width, max(left, 0) : max(x, other_x) + width] = True
    return free


def _maze(size: int, settings: CorridorSettings) -> NDArray[np.bool_]:
    """Returns the free cells (size, size) of a maze with one path between any two places, by random depth-first search.

    Its rooms are squares of `width` cells with walls of one cell between.
    """
    free, width, draws = np.zeros((size, size), np.bool_), settings.width, generator(settings.number, _MAZE_STREAM)
    pitch = width + 1
    rooms = max((size + 1) // pitch, 1)
    free[:width, :width] = True
    path, found = [(0, 0)], {(0, 0)}
    while path:
        x, y = path[-1]
        others = [(x + right, y + down) for right, down in MOVES[1:]]
        others = [(a, b) for a, b in others if 0 <= a < rooms and 0 <= b < rooms and (a, b) not in found]
        if not others:
            path.pop()
            continue
        a, b = others[draws.integers(len(others))]
        left, top = pitch * min(x, a), pitch * min(y, b)
        free[top : pitch * max(y, b) + width, left : pitch * max(x, a) + width] = True
        found.add((a, b))
        path.append((a, b))
    return free
