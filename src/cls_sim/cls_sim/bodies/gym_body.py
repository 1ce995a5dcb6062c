"""Any Gymnasium environment as a body: its picture is the camera, its observation the sense 'state'."""

import difflib
import os
from typing import Any

import cv2
import gymnasium
from gymnasium import spaces
import numpy as np
from numpy.typing import NDArray

from cls_common.errors import UserError
from cls_common.robot import RobotInfo

from ..noise import Image
from ..settings import SimulatorSettings
from ..worlds.pan_tilt import SIDE
from .actions import channels_of, to_env_action
from .body import AT_REST, Body, Outcome

STATE = 'state'
PREFIX = 'gym:'


class GymBody(Body):
    """Acts at once and stands still between actions. An image observation is the camera itself."""

    def __init__(self, name: str, env: 'gymnasium.Env[Any, Any]', settings: SimulatorSettings) -> None:
        self._env = env
        self._space = env.observation_space
        self._sees = _is_image(self._space)
        self._draws = not self._sees and env.render_mode == 'rgb_array'
        if not self._sees and not self._space.is_np_flattenable:
            raise UserError(f'robot {name!r}', expected='observations of fixed size', found=str(self._space))
        self.info = RobotInfo(
            name=name,
            modalities=('camera',) * (self._sees or self._draws) + (STATE,) * (not self._sees),
            channels=channels_of(env.action_space, name),
            lock_step=settings.lock_step,
        )
        self._seed: int | None = settings.seed
        self._observation: Any = None
        self._picture: Image | None = None

    def reset(self) -> None:
        """See Body: only the first episode is seeded, the later ones go on from its random numbers."""
        self._observation, _ = self._env.reset(seed=self._seed)
        self._seed = self._picture = None

    def act(self, values: NDArray[np.float32], stuck_joint: int = -1) -> Outcome:
        """See Body."""
        applied, action = to_env_action(self._env.action_space, self.info, values)
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
            drawn = np.asarray(self._observation if self._sees else self._env.render(), np.uint8)
            self._picture = np.asarray(cv2.resize(drawn, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)
        return None if self._picture is None else self._picture.copy()

    def observations(self) -> dict[str, NDArray[np.float32]]:
        """See Body: the whole observation flattened, as gymnasium.spaces.flatten orders it."""
        if self._sees:
            return {}
        return {STATE: np.asarray(spaces.flatten(self._space, self._observation), np.float32).reshape(-1)}

    def close(self) -> None:
        """See Body."""
        self._env.close()


def make_gym(name: str, settings: SimulatorSettings) -> Body:
    """Makes the body of 'gym:ID'.

    Raises:
        UserError: unknown ID, what it needs is not installed, or its spaces can't be a robot's.
    """
    # Pictures only, no window: pygame would look for a screen.
    os.environ.setdefault('SDL_VIDEODRIVER', 'dummy')
    os.environ.setdefault('PYGAME_HIDE_SUPPORT_PROMPT', '1')
    env_id = name.removeprefix(PREFIX)
    try:
        spec = gymnasium.spec(env_id)
    except gymnasium.error.Error as error:
        known = sorted(gymnasium.registry)
        near = difflib.get_close_matches(env_id, known, 5, 0.4) or known
        raise UserError(f'unknown robot {name!r}', expected='gym: and one of ' + ', '.join(near)) from error
    return GymBody(name, _make_env(name, spec), settings)


def _make_env(name: str, spec: Any) -> 'gymnasium.Env[Any, Any]':
    try:
        blind = gymnasium.make(spec)
        if 'rgb_array' not in blind.metadata.get('render_modes', ()):
            return blind
        blind.close()
        return gymnasium.make(spec, render_mode='rgb_array')
    except (gymnasium.error.Error, ImportError) as error:
        problem = f'robot {name!r} could not be made'
        found = ' '.join(str(error).split())
        raise UserError(problem, found=found, do='Install what it needs.') from error


def _is_image(space: 'spaces.Space[Any]') -> bool:
    return isinstance(space, spaces.Box) and space.dtype == np.uint8 and len(space.shape) == 3 and space.shape[2] == 3
