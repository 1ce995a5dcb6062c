"""A camera on two joints: base class of the pan-tilt environments."""

from abc import abstractmethod
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..noise import Image
from ..settings import PAN_LIMIT, TILT_LIMIT

SIDE = 224  # width and height of an image, pixels
STEP_LIMIT_DEG = 10.0
LIMITS_DEG = np.array([PAN_LIMIT, TILT_LIMIT])

Pose = NDArray[np.float64]


class PanTiltEnv(gymnasium.Env[Image, NDArray[np.float32]]):
    """Turns a camera. Reward is `tracking_reward`, 0 without a target; episodes end only by a reset.

    Action: float32 (2,), change of pan (to the left) and tilt (up), degrees, each -10..10.
    Observation: uint8 (224, 224, 3) RGB. `info['applied']`: float64 (2,), the change after limits, degrees.

    Args:
        start_pose_deg: pan and tilt after a reset, within +-90 and +-40 degrees.
        frame_rate: images per second of simulated time; one action takes one image.
        has_target: rewards the target in the middle of the image.
        render_mode: 'rgb_array' or None.
    """

    metadata = {'render_modes': ['rgb_array'], 'render_fps': 30}
    # Horizontal and vertical field of view, degrees; None if undefined.
    view_deg: tuple[float, float] | None = None

    def __init__(
        self,
        start_pose_deg: tuple[float, float] = (0.0, 0.0),
        frame_rate: float = 30.0,
        render_mode: str | None = None,
        has_target: bool = False,
    ) -> None:
        self.render_mode = render_mode
        self.action_space = gymnasium.spaces.Box(-STEP_LIMIT_DEG, STEP_LIMIT_DEG, (2,), np.float32)
        self.observation_space = gymnasium.spaces.Box(0, 255, (SIDE, SIDE, 3), np.uint8)
        self.start_pose_deg: Pose = np.clip(np.asarray(start_pose_deg, np.float64), -LIMITS_DEG, LIMITS_DEG)
        self.pose_deg: Pose = self.start_pose_deg.copy()
        self.has_target = has_target
        self._frame_rate = frame_rate
        self._frame = 0

    @abstractmethod
    def view(self, pose_deg: Pose, seconds: float, frame: int) -> Image:
        """Returns the camera image.

        Args:
            pose_deg: pan and tilt, degrees (2,), within the limits.
            seconds: simulated time, for moving objects.
            frame: number of the image, for its noise.

        Returns:
            uint8 (224, 224, 3) RGB.
        """

    @abstractmethod
    def target_offset(self, pose_deg: Pose, seconds: float) -> NDArray[np.float64]:
        """Returns where the target appears, (2,): its distances from the middle of the image in halves of the image.

        Args:
            pose_deg, seconds: as in `view`.
        """

    def tracking_reward(self, pose_deg: Pose, seconds: float) -> float:
        """Returns 1 for the target in the middle of the image, falling to 0 at its edge and outside; NaN without one.

        Args:
            pose_deg, seconds: as in `view`.
        """
        if not self.has_target:
            return float('nan')
        return max(0.0, 1.0 - float(np.linalg.norm(self.target_offset(pose_deg, seconds))))

    def turn(self, action: ArrayLike) -> Pose:
        """Moves by `action`, degrees (2,), clipped to +-10 and then to the joints' limits.

        Returns:
            the applied change, degrees (2,).
        """
        wanted = np.clip(np.asarray(action, np.float64), -STEP_LIMIT_DEG, STEP_LIMIT_DEG)
        before = self.pose_deg
        self.pose_deg = np.clip(before + wanted, -LIMITS_DEG, LIMITS_DEG)
        return self.pose_deg - before

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Image, dict[str, Any]]:
        """Goes to the start pose, or to `options['pose_deg']`. A seed restarts the noise."""
        super().reset(seed=seed)
        pose = self.start_pose_deg if options is None else options.get('pose_deg', self.start_pose_deg)
        self.pose_deg = np.clip(np.asarray(pose, np.float64), -LIMITS_DEG, LIMITS_DEG)
        if seed is not None:
            self._frame = 0
        return self._image(), {'applied': np.zeros(2)}

    def step(self, action: NDArray[np.float32]) -> tuple[Image, float, bool, bool, dict[str, Any]]:
        """Turns by an action, then returns observation, reward, terminated, truncated and info, as in the class."""
        applied = self.turn(action)
        self._frame += 1
        reward = self.tracking_reward(self.pose_deg, self._frame / self._frame_rate)
        return self._image(), float(np.nan_to_num(reward)), False, False, {'applied': applied}

    def render(self) -> Image:  # type: ignore[override]
        """Returns the image of the last reset or step, uint8 (224, 224, 3)."""
        return self._image()

    def _image(self) -> Image:
        return self.view(self.pose_deg, self._frame / self._frame_rate, self._frame)
