"""Random acting in a corridor, and the memory of its pictures."""

from dataclasses import dataclass, field
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
import torch
from torch import Tensor

from cls_learning.brains.developmental.hierarchy.macro import TwoScales
from cls_sim.noise import Image
from cls_sim.worlds.corridor_map import CorridorMap, MOVES, Place

# px; pictures of the camera are reduced to half their side.
SIDE: Final = 112
# Mean number of times that random acting repeats an action.
_RUN_LENGTH: Final = 6
# An action as the predictors have it: -1, and 1 at its number.
CODES: Final = 2 * torch.eye(len(MOVES)) - 1


class PictureMemory:
    """Pictures in the order in which they came, equal ones stored once, and the action after each."""

    def __init__(self) -> None:
        self._numbers: dict[bytes, int] = {}
        self._pictures: list[Image] = []
        self._order: list[int] = []
        self._actions: list[int] = []

    def __len__(self) -> int:
        return len(self._order)

    def add(self, picture: Image, action: int) -> None:
        """Adds a picture (H, W, 3) and the action that followed."""
        number = self._numbers.setdefault(picture.tobytes(), len(self._pictures))
        if number == len(self._pictures):
            self._pictures.append(picture)
        self._order.append(number)
        self._actions.append(action)

    def was_blocked(self) -> bool:
        """Returns whether the last action changed nothing."""
        return len(self._order) > 1 and self._order[-1] == self._order[-2]

    def pictures(self, at: NDArray[np.int64]) -> Tensor:
        """Returns pictures, float32 (..., 3, H, W) in 0..1, of steps (...)."""
        numbers = np.asarray(self._order)[at]
        found = torch.stack([as_input(self._pictures[k]) for k in numbers.flat])
        return found.view(*at.shape, *found.shape[1:])

    @torch.no_grad()
    def tokens(self, model: TwoScales) -> Tensor:
        """Returns the tokens (T, N, D) of all pictures, each encoded once."""
        return model.encode(torch.stack([as_input(picture) for picture in self._pictures]))[self._order]

    def actions(self, starts: NDArray[np.int64], count: int) -> Tensor:
        """Returns the codes of `count` actions from each of some steps, float32 (B, count, A)."""
        return CODES[np.asarray(self._actions)[starts[:, None] + np.arange(count)]]

    def direct(self, count: int) -> NDArray[np.int64]:
        """Returns the steps from which `count` actions led from picture to picture, none of them twice."""
        windows = np.sort(np.lib.stride_tricks.sliding_window_view(self._order, count + 1), 1)
        return np.flatnonzero((np.diff(windows) != 0).all(1))

    def changes(self) -> NDArray[np.int64]:
        """Returns the steps whose action changed the picture."""
        return np.flatnonzero(np.diff(self._order))


@dataclass
class Walker:
    """Acts at random: each action for a random number of times, or until it changes nothing."""

    corridor: CorridorMap
    draws: np.random.Generator
    place: Place
    memory: PictureMemory = field(default_factory=PictureMemory)
    _action: int = 0

    def act(self, count: int) -> None:
        """Takes some actions."""
        for _ in range(count):
            if self.memory.was_blocked() or self.draws.random() < 1 / _RUN_LENGTH:
                self._action = int(self.draws.integers(len(MOVES)))
            self.memory.add(reduced(self.corridor.render(self.place)), self._action)
            self.place = self.corridor.advance(self.place, self._action)


def reduced(picture: Image) -> Image:
    """Returns a picture with a side of SIDE pixels, by area."""
    return np.asarray(cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)


def as_input(picture: Image) -> Tensor:
    """Returns a picture uint8 (H, W, 3) as the model takes it, float32 (3, H, W) in 0..1."""
    return torch.from_numpy(picture).permute(2, 0, 1).float() / 255
