"""Any Gymnasium environment as a body: its rendering is the camera, its observation the modality 'state'."""

import logging
from typing import Any

from gymnasium import spaces
import numpy as np
from numpy.typing import NDArray

from cls_common.errors import UserError
from cls_common.robot import RobotInfo

from ..noise import Image
from ..settings import SimulatorSettings
from .action_spaces import channels_of, to_env_action
from .body import ActionEffect, AT_REST, Body
from .environment_errors import describe, environment_code
from .gym_env import Env
from .image_conversion import ImageConverter

STATE = 'state'
# A smaller box of three layers is more likely a map than an image.
_SMALLEST_IMAGE = 16
_log = logging.getLogger(__name__)


class GymBody(Body):
    """Changes at the start of an action and not between actions. An image observation is the camera image.

    Args:
        splits: each entry of a Dict observation is a modality of its own, under its name.
        has_reward: false: the rewards of the environment mean nothing, and the robot has none.
        duration: of an action, s.
    """

    def __init__(
        self, name: str, env: Env, settings: SimulatorSettings, *, splits: bool = False, has_reward: bool = True,
        duration: float = 0.0,
    ) -> None:  # fmt: skip
        self._env = env
        self._space = _space(name, env, 'observation_space')
        self._action_space = _space(name, env, 'action_space')
        self._observes_images = _is_image(self._space)
        self._renders = not self._observes_images and env.render_mode is not None
        if not self._observes_images and not self._space.is_np_flattenable:
            raise UserError(f'robot {name!r}', expected='observations of fixed size', found=str(self._space))
        self._senses = dict(self._space) if splits and isinstance(self._space, spaces.Dict) else {}
        vectors = tuple(self._senses) or (STATE,)
        self.info = RobotInfo(
            name=name,
            modalities=('camera',) * (self._observes_images or self._renders) + vectors * (not self._observes_images),
            channels=channels_of(self._action_space, name),
            lock_step=settings.lock_step,
            has_reward=has_reward,  # one of an older interface that gives None is found out at its first step
        )
        self._converter = ImageConverter(
            name, 'reset() or step()' if self._observes_images else 'render()', _white(self._space)
        )
        with environment_code(name, 'spec'):
            self.reward_threshold = None if env.spec is None else env.spec.reward_threshold
        self._duration = duration
        self._seed: int | None = settings.seed
        self._observation: Any = None
        self._image: Image | None = None

    def reset(self) -> None:
        """See Body: only the first episode is seeded, the later ones continue its random numbers."""
        self._observation, _ = self._env.reset(seed=self._seed)
        self._seed = self._image = None

    def act(self, values: NDArray[np.float32], stuck_joint: int = -1, seconds: float = 0.0) -> ActionEffect:
        """See Body."""
        applied, action = to_env_action(self._action_space, self.info, values)
        self._observation, reward, terminal, truncated, _ = self._env.step(action)
        self._image = None
        return ActionEffect(
            applied,
            self._duration,
            float(reward) if self.info.has_reward else float('nan'),
            terminal=bool(terminal),
            truncated=bool(truncated),
        )

    def halt(self, elapsed: float) -> NDArray[np.float32]:
        """See Body: what an action changes is changed as soon as it starts, so there is nothing to stop."""
        return np.zeros(len(self.info.channels), np.float32)

    def joints(self, elapsed: float = AT_REST) -> NDArray[np.float64]:
        """See Body: none are known."""
        return np.zeros(0)

    def image(self, elapsed: float, seconds: float, frame: int) -> Image | None:
        """See Body. Rendered once per state: the image does not change between actions."""
        if self._image is None and (self._observes_images or self._renders):
            self._image = self._converter.read(self._observation if self._observes_images else self._env.render())
        return None if self._image is None else self._image.copy()

    def observations(self) -> dict[str, NDArray[np.float32]]:
        """See Body: the whole observation flattened, as gymnasium.spaces.flatten orders it, or each of its entries."""
        if self._senses:
            return {name: self._flatten(space, self._observation[name]) for name, space in self._senses.items()}
        return {} if self._observes_images else {STATE: self._flatten(self._space, self._observation)}

    def _flatten(self, space: 'spaces.Space[Any]', observation: Any) -> NDArray[np.float32]:
        try:
            with np.errstate(over='ignore'):  # becomes infinite and is refused below
                vector = np.asarray(spaces.flatten(space, observation), np.float32).reshape(-1)
        except Exception:  # any exception for observations of another form
            vector = np.zeros(0, np.float32)
        if vector.shape != (spaces.flatdim(space),) or not np.isfinite(vector).all():
            raise UserError(
                f'robot {self.info.name!r}: observation',
                expected=f'finite numbers of {space}',
                found=describe(observation),
            )
        return vector

    def close(self) -> None:
        """See Body. Errors are only logged: the robot is closed either way."""
        try:
            with environment_code(self.info.name, 'close()'):
                self._env.close()
        except UserError as error:
            _log.warning('%s', error)


def _space(robot: str, env: Env, name: str) -> 'spaces.Space[Any]':
    with environment_code(robot, name):
        space: Any = getattr(env, name)
    if not isinstance(space, spaces.Space):
        raise UserError(f'robot {robot!r}: {name}', expected='a space of gymnasium', found=describe(space))
    return space


def _is_image(space: 'spaces.Space[Any]') -> bool:
    if not isinstance(space, spaces.Box) or len(space.shape) != 3:
        return False
    if space.dtype == np.uint8 and space.shape[2] == 3:
        return True
    # Floats that are certainly an image, and channels first.
    if space.shape[2] != 3 and space.shape[0] != 3:
        return False
    sides = space.shape[:2] if space.shape[2] == 3 else space.shape[1:]
    is_wide = min(sides) >= _SMALLEST_IMAGE
    return is_wide and (space.dtype == np.uint8 or (space.dtype.kind == 'f' and _white(space) > 0))


def _white(space: 'spaces.Space[Any]') -> float:
    """Returns the value of white in a space's images if its limits define it, else 0."""
    if isinstance(space, spaces.Box) and space.dtype.kind == 'f' and (space.low == 0).all():
        return next((white for white in (1.0, 255.0) if (space.high == white).all()), 0.0)
    return 0.0
