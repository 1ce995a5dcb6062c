"""A simulated robot: body, clock and faults. `step` is lock-step; real time uses its parts."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cls_common.errors import UserError
from cls_common.robot import check_action, Kind, RobotInfo
from cls_common.stamps import NS
from cls_common.transition import JOINTS

from .bodies.body import AT_REST, Body
from .delay import Delay
from .faults import Faults
from .noise import Image
from .settings import SimulatorSettings

# Simulated time begins here instead of 0, which means "no time yet" in ROS.
START_NS = NS
# An action begins this long after the image before it, so that their stamps differ.
REACTION_NS = 1_000


@dataclass(frozen=True, eq=False)
class Step:
    """One action and the observation after it.

    Attributes:
        image: uint8 (224, 224, 3) RGB, or None without a camera.
        observations: other modalities, modality -> float32 vector.
        joints, joints_before: float64 (J,), rad, after and before.
        commanded, applied: float32 (A,), robot units: before and after limits.
        reward: NaN without one.
        terminal, truncated: the episode ended with this step by its own rules, or was cut. `image`,
            `observations` and `joints` are its last ones.
        start_ns, end_ns, stamp_ns: simulated time of the action's start, its end and the image:
            start <= end < stamp.
        lost: the action was lost (fault): nothing moved, no time passed, observations are as before.
        restart: if the episode ended, the first Step of the next one, from which the next action acts:
            `now = step.restart or step`.
    """

    image: Image | None
    observations: dict[str, NDArray[np.float32]]
    joints: NDArray[np.float64]
    joints_before: NDArray[np.float64]
    commanded: NDArray[np.float32]
    applied: NDArray[np.float32]
    reward: float
    terminal: bool
    truncated: bool
    start_ns: int
    end_ns: int
    stamp_ns: int
    lost: bool = False
    restart: 'Step | None' = None

    def vector(self, name: str) -> NDArray[np.float32]:
        """Returns an observation by its modality, or the joint angles as JOINTS, rad."""
        return self.joints.astype(np.float32) if name == JOINTS else self.observations[name]


@dataclass(frozen=True, eq=False)
class ActionExecution:
    """An action in progress or completed; attributes as in Step."""

    commanded: NDArray[np.float32]
    applied: NDArray[np.float32]
    joints_before: NDArray[np.float64]
    joints: NDArray[np.float64]
    start_ns: int
    end_ns: int
    reward: float = float('nan')
    terminal: bool = False
    truncated: bool = False


@dataclass(frozen=True, eq=False)
class SensorFrame:
    """Image and other observations at one time.

    Attributes:
        image, observations, joints: as in Step.
        stamp_ns: of the observation.
        arrival_ns: when it is published; later than the stamp for a late frame.
    """

    image: Image | None
    joints: NDArray[np.float64]
    stamp_ns: int
    arrival_ns: int
    observations: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)


class SimulatedRobot:
    """One robot. `reset` and `step` keep simulated time; `begin`, `sense` and `halt` get the time as an argument.

    Args:
        body: not yet reset.
        settings: latency, frame rate, faults.

    Attributes:
        draws: whether observations have the image, if the robot has one; drawing takes most of the time of a step.
    """

    def __init__(self, body: Body, settings: SimulatorSettings) -> None:
        if settings.faults.stuck_joint >= len(body.info.joint_names):
            raise UserError(
                "parameter 'faults.stuck_joint'",
                found=str(settings.faults.stuck_joint),
                expected=f'less than {len(body.info.joint_names)}, the joints of {body.info.name!r}',
            )
        self._body = body
        self._faults = Faults(settings.faults, settings.seed)
        self._delay: Delay[tuple[Image | None, dict[str, NDArray[np.float32]]]] = Delay(settings.delay_steps)
        self._acts_late = settings.faults.action_lag > 0
        self._latency_ns = max(round(settings.latency * NS), REACTION_NS)
        self._period_ns = round(NS / settings.frame_rate)
        self._frames = self._actions = 0
        self._motion = _rest(body, 0)
        self._last: Step | None = None
        self.now_ns = START_NS
        self.draws = True

    @property
    def info(self) -> RobotInfo:
        """Description of the robot."""
        return self._body.info

    @property
    def view_deg(self) -> tuple[float, float] | None:
        """Horizontal and vertical field of view, degrees; None if undefined."""
        return self._body.view_deg

    @property
    def reward_threshold(self) -> float | None:
        """Return of an episode from which its task counts as solved; None if undefined."""
        return self._body.reward_threshold

    def reset(self) -> Step:
        """Begins an episode; simulated time continues. Commanded and applied are 0 in the returned Step."""
        self.restart(self.now_ns)
        return self._advance(self._motion)

    def step(self, values: ArrayLike) -> Step:
        """Acts and advances simulated time by 1 / frame_rate, or the multiple of it that the motion needs.

        Args:
            values: float32 (A,), robot units; values outside a channel's limits are clipped.

        Raises:
            UserError: a value is not finite, their number is wrong, or `reset` was never called.
        """
        action = check_action(self.info, values)
        if self._last is None:
            raise UserError(f'robot {self.info.name!r} has no episode', do='Call reset() first.')
        motion = self.begin(action, self.now_ns + self._latency_ns)
        if motion is None:
            return self._lost_step(action, self._last)
        step = self._advance(motion)
        if motion.terminal or motion.truncated:
            step = replace(step, restart=self.reset())
        return step

    def close(self) -> None:
        """Frees the resources of the environment."""
        self._body.close()

    def restart(self, now_ns: int) -> None:
        """Resets the body to the beginning of an episode."""
        self._body.reset()
        self._faults.begin_episode(self.info.zero())
        self._delay.clear()
        self._motion = _rest(self._body, now_ns)

    def begin(
        self, action: NDArray[np.float32], start_ns: int, world_start_ns: int = START_NS
    ) -> ActionExecution | None:
        """Starts a checked action, float32 (A,), at a time; returns its motion, or None if it was lost.

        A body that acts late reports as applied the action that it accepted, within the limits of its channels; its
        effect is seen later. Joints, reward and the end of the episode are those of the motion itself.
        """
        number = self._actions
        self._actions += 1
        if self._faults.is_lost(number):
            return None
        before = self._body.joints()
        due, stuck = self._faults.due_action(action), self._faults.stuck_joint(number)
        outcome = self._body.act(due, stuck, (start_ns - world_start_ns) / NS)
        applied = _accepted(self.info, action) if self._acts_late else outcome.applied
        end_ns = start_ns + round(outcome.duration * NS)
        self._motion = ActionExecution(
            action,
            applied,
            before,
            self._body.joints(),
            start_ns,
            end_ns,
            # As precise as in a message, so that training in one process and in the graph are equal.
            float(np.float32(outcome.reward)),
            outcome.terminal,
            outcome.truncated,
        )
        return self._motion

    def halt(self, now_ns: int) -> ActionExecution:
        """Stops the current motion at once, forgets actions that wait, and returns the motion up to then."""
        applied = self._body.halt(self._elapsed(now_ns))
        self._faults.begin_episode(self.info.zero())
        if self._acts_late:
            applied = self._motion.applied
        end_ns = min(max(now_ns, self._motion.start_ns), self._motion.end_ns)
        self._motion = replace(self._motion, applied=applied, joints=self._body.joints(), end_ns=end_ns)
        return self._motion

    def joints(self, now_ns: int) -> NDArray[np.float64]:
        """Returns joint angles at a time, rad (J,)."""
        return self._body.joints(self._elapsed(now_ns))

    def sense(self, now_ns: int, world_start_ns: int = START_NS) -> SensorFrame:
        """Returns what arrives at a time; `world_start_ns`, here as in `begin`, is time zero of moving objects.

        With `delay_steps` image and other observations are those of so many calls before, in this episode, and the
        stamp is that of the arrival. Joints are not late: they belong to the answer to an action.
        """
        elapsed, number = self._elapsed(now_ns), self._frames
        self._frames += 1
        image = self._body.image(elapsed, (now_ns - world_start_ns) / NS, number) if self.draws else None
        if image is not None:
            image = self._faults.apply_to_image(image, number)
        arrival = now_ns + round(self._faults.delay(number) * NS)
        image, observations = self._delay.add((image, self._body.observations()))
        return SensorFrame(image, self._body.joints(elapsed), now_ns, arrival, observations)

    def _elapsed(self, now_ns: int) -> float:
        # Exactly at rest at the end of a motion, without rounding of its duration.
        return AT_REST if now_ns >= self._motion.end_ns else (now_ns - self._motion.start_ns) / NS

    def _lost_step(self, action: NDArray[np.float32], last: Step) -> Step:
        still = np.zeros_like(action)
        return replace(
            last,
            commanded=action,
            applied=still,
            joints_before=last.joints,
            reward=float('nan'),
            terminal=False,
            truncated=False,
            lost=True,
            restart=None,
        )

    def _advance(self, motion: ActionExecution) -> Step:
        periods = (motion.end_ns - self.now_ns) // self._period_ns + 1
        frame = self.sense(self.now_ns + periods * self._period_ns)
        self.now_ns = frame.arrival_ns
        self._last = Step(
            image=frame.image,
            observations=dict(frame.observations),
            joints=motion.joints,
            joints_before=motion.joints_before,
            commanded=motion.commanded,
            applied=motion.applied,
            reward=motion.reward,
            terminal=motion.terminal,
            truncated=motion.truncated,
            start_ns=motion.start_ns,
            end_ns=motion.end_ns,
            stamp_ns=frame.stamp_ns,
        )
        return self._last


def _accepted(info: RobotInfo, action: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns an action within the limits of its channels, discrete ones rounded, float32 (A,)."""
    clipped = np.clip(action, info.low, info.high)
    return np.where([c.kind is Kind.DISCRETE for c in info.channels], np.floor(clipped + 0.5), clipped)


def _rest(body: Body, now_ns: int) -> ActionExecution:
    still = np.zeros(len(body.info.channels), np.float32)
    joints = body.joints()
    return ActionExecution(still, still, joints, joints, now_ns, now_ns)
