"""A pan-tilt environment as a body: joints with limited speed and backlash."""

import math

import gymnasium
import numpy as np
from numpy.typing import NDArray

from cls_common.robot import Channel, Kind, RobotInfo

from ..noise import Image
from ..settings import SimulatorSettings
from ..worlds import ROOM_ID
from ..worlds.pan_tilt import LIMITS_DEG, PanTiltEnv, STEP_LIMIT_DEG
from ..worlds.room import RoomEnv
from .body import ActionEffect, AT_REST, Body

JOINTS = ('pan', 'tilt')


class PanTiltBody(Body):
    """Turns the camera of a PanTiltEnv at `servo_speed`, both joints at once; the camera may lag by backlash."""

    def __init__(self, name: str, env: PanTiltEnv, settings: SimulatorSettings) -> None:
        limits = tuple(math.radians(limit) for limit in LIMITS_DEG)
        self.info = RobotInfo(
            name=name,
            modalities=('camera',),
            channels=tuple(Channel(j, Kind.RELATIVE, 'deg', -STEP_LIMIT_DEG, STEP_LIMIT_DEG) for j in JOINTS),
            joint_names=JOINTS,
            joint_low=tuple(-limit for limit in limits),
            joint_high=limits,
            lock_step=settings.lock_step,
            has_reward=settings.reward != 'none',
        )
        self.view_deg = env.view_deg
        self._env = env
        self._speed = settings.servo_speed
        self._play = settings.gear_play
        self._before = env.pose_deg.copy()
        self._camera_before = self._before

    def reset(self) -> None:
        """See Body."""
        self._env.pose_deg = self._env.start_pose_deg.copy()
        self._before = self._camera_before = self._env.pose_deg

    def act(self, values: NDArray[np.float32], stuck_joint: int = -1, seconds: float = 0.0) -> ActionEffect:
        """See Body. A reward is that of the pose and the time at the end of the motion."""
        wanted = values.astype(np.float64)
        if stuck_joint >= 0:
            wanted[stuck_joint] = 0.0
        self._camera_before = self._camera_deg(AT_REST)
        self._before = self._env.pose_deg
        applied = self._env.turn(wanted)
        duration = float(np.abs(applied).max()) / self._speed
        reward = self._env.tracking_reward(self._camera_deg(AT_REST), seconds + duration)
        return ActionEffect(applied.astype(np.float32), duration, reward)

    def halt(self, elapsed: float) -> NDArray[np.float32]:
        """See Body."""
        self._env.pose_deg = self._pose_deg(elapsed)
        return (self._env.pose_deg - self._before).astype(np.float32)

    def joints(self, elapsed: float = AT_REST) -> NDArray[np.float64]:
        """See Body."""
        return np.deg2rad(self._pose_deg(elapsed))

    def image(self, elapsed: float, seconds: float, frame: int) -> Image | None:
        """See Body."""
        return self._env.view(self._camera_deg(elapsed), seconds, frame)

    def observations(self) -> dict[str, NDArray[np.float32]]:
        """See Body: none."""
        return {}

    def close(self) -> None:
        """See Body."""
        self._env.close()

    def _pose_deg(self, elapsed: float) -> NDArray[np.float64]:
        reach = self._speed * max(elapsed, 0.0)
        return self._before + np.clip(self._env.pose_deg - self._before, -reach, reach)

    def _camera_deg(self, elapsed: float) -> NDArray[np.float64]:
        # Each joint turns in one direction within an action, so the camera's pose follows from its pose before.
        pose = self._pose_deg(elapsed)
        return np.clip(self._camera_before, pose - self._play / 2, pose + self._play / 2)


def room_env(settings: SimulatorSettings) -> RoomEnv:
    """Returns the environment of the default robot."""
    env = gymnasium.make(
        ROOM_ID,
        scene=settings.scene,
        seed=settings.seed,
        scenery=settings.scenery,
        panorama=settings.panorama,
        moving_things=settings.moving_things,
        fan_size=settings.fan_size,
        fan_speed=settings.fan_speed,
        light_drift=settings.light_drift,
        light_period=settings.light_period,
        change_at=settings.change_at,
        noise_sigma=settings.noise_sigma,
        has_target=settings.reward == 'track',
        start_pose_deg=(settings.start_pan, settings.start_tilt),
        frame_rate=settings.frame_rate,
    )
    assert isinstance(env.unwrapped, RoomEnv)
    return env.unwrapped
