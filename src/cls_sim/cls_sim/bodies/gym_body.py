"""Any Gymnasium environment as a body: its picture is the camera, its observation the sense 'state'."""

import logging
from typing import Any

from gymnasium import spaces
import numpy as np
from numpy.typing import NDArray

from cls_common.errors import UserError
from cls_common.robot import RobotInfo

from ..noise import Image
from ..settings import SimulatorSettings
from .actions import channels_of, to_env_action
from .body import AT_REST, Body, Outcome
from .foreign import describe, foreign_code
from .gym_env import Env, find, make_env
from .pictures import Pictures

STATE = 'state'
# A smaller box of three layers is more likely a map than a picture.
_SMALLEST_PICTURE = 16
_log = logging.getLogger(__name__)


class GymBody(Body):
    """Acts at once and stands still between actions. An image observation is the camera itself."""

    def __init__(self, name: str, env: Env, settings: SimulatorSettings) -> None:
        self._env = env
        self._space = _space(name, env, 'observation_space')
        self._action_space = _space(name, env, 'action_space')
        self._sees = _is_image(self._space)
        self._draws = not self._sees and env.render_mode is not None
        if not self._sees and not self._space.is_np_flattenable:
            raise UserError(f'robot {name!r}', expected='observations of fixed size', found=str(self._space))
        self.info = RobotInfo(
            name=name,
            modalities=('camera',) * (self._sees or self._draws) + (STATE,) * (not self._sees),
            channels=channels_of(self._action_space, name),
            lock_step=settings.lock_step,
        )
        self._pictures = Pictures(name, 'reset() or step()' if self._sees else 'render()', _white(self._space))
        self._seed: int | None = settings.seed
        self._observation: Any = None
        self._picture: Image | None = None

    def reset(self) -> None:
        """See Body: only the first episode is seeded, the later ones go on from its random numbers."""
        self._observation, _ = self._env.reset(seed=self._seed)
        self._seed = self._picture = None

    def act(self, values: NDArray[np.float32], stuck_joint: int = -1) -> Outcome:
        """See Body."""
        applied, action = to_env_action(self._action_space, self.info, values)
        self._observation, reward, terminal, truncated, _ = self._env.step(action)
        self._picture = None
        return Outcome(applied, reward=float(reward), terminal=bool(terminal), truncated=bool(truncated))

    def halt(self, elapsed: float) -> NDArray[np.float32]:
        """See Body: an action is over as soon as it starts, so nothing is left to stop."""
        return np.zeros(len(self.info.channels), np.float32)

    def joints(self, elapsed: float = AT_REST) -> NDArray[np.float64]:
        """See Body: none are known."""
        return np.zeros(0)

    def image(self, elapsed: float, seconds: float, frame: int) -> Image | None:
        """See Body. Drawn once a state: between actions the picture is the same."""
        if self._picture is None and (self._sees or self._draws):
            self._picture = self._pictures.read(self._observation if self._sees else self._env.render())
        return None if self._picture is None else self._picture.copy()

    def observations(self) -> dict[str, NDArray[np.float32]]:
        """See Body: the whole observation flattened, as gymnasium.spaces.flatten orders it."""
        return {} if self._sees else {STATE: self._state()}

    def _state(self) -> NDArray[np.float32]:
        try:
            with np.errstate(over='ignore'):  # becomes infinite and is refused below
                state = np.asarray(spaces.flatten(self._space, self._observation), np.float32).reshape(-1)
        except Exception:  # whatever an observation of another form raises in there
            state = np.zeros(0, np.float32)
        if state.shape != (spaces.flatdim(self._space),) or not np.isfinite(state).all():
            raise UserError(
                f'robot {self.info.name!r}: observation', expected=f'finite numbers of {self._space}',
                found=describe(self._observation),
            )  # fmt: skip
        return state

    def close(self) -> None:
        """See Body. What fails here is only logged: the robot is gone either way."""
        try:
            with foreign_code(self.info.name, 'close()'):
                self._env.close()
        except UserError as error:
            _log.warning('%s', error)


def make_gym(name: str, settings: SimulatorSettings) -> Body:
    """Makes the body of 'gym:ID'; the robot's name has the version written out.

    Raises:
        UserError: unknown ID, what it needs is not installed, or its spaces can't be a robot's.
    """
    full_name, spec = find(name)
    return GymBody(full_name, make_env(full_name, spec), settings)


def _space(robot: str, env: Env, name: str) -> 'spaces.Space[Any]':
    with foreign_code(robot, name):
        space: Any = getattr(env, name)
    if not isinstance(space, spaces.Space):
        raise UserError(f'robot {robot!r}: {name}', expected='a space of gymnasium', found=describe(space))
    return space


def _is_image(space: 'spaces.Space[Any]') -> bool:
    if not isinstance(space, spaces.Box) or len(space.shape) != 3:
        return False
    if space.dtype == np.uint8 and space.shape[2] == 3:
        return True
    # Floats that are certainly a picture, and channels first.
    if space.shape[2] != 3 and space.shape[0] != 3:
        return False
    sides = space.shape[:2] if space.shape[2] == 3 else space.shape[1:]
    is_wide = min(sides) >= _SMALLEST_PICTURE
    return is_wide and (space.dtype == np.uint8 or (space.dtype.kind == 'f' and _white(space) > 0))


def _white(space: 'spaces.Space[Any]') -> float:
    """Returns what is white in a space's pictures where its limits say so, else 0."""
    if isinstance(space, spaces.Box) and space.dtype.kind == 'f' and (space.low == 0).all():
        return next((white for white in (1.0, 255.0) if (space.high == white).all()), 0.0)
    return 0.0
