"""Node of `./cls run`: sends the actions of a policy to a robot. No learner, no networks."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
import time
from typing import Any

import numpy as np
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter

from cls_common import comms
from cls_common.errors import UserError
from cls_common.experience_codec import from_applied_action
from cls_common.nodes.conversions import from_image, from_robot_info, to_array, to_floats, to_nanoseconds
from cls_common.nodes.private_node import OPTIONS, private_node
from cls_common.nodes.qos import publisher, subscription
from cls_common.robot import RobotInfo
from cls_interfaces.msg import AppliedAction, RecorderStatus, RobotAction, RobotState
from cls_interfaces.msg import RobotInfo as RobotInfoMessage

from ..run_policy.actor import Actor, Command, SOURCE

# s to wait for other publishers of actions. Discovery finds them a quarter of a second after the robot on an idle
# machine; later ones are noticed by actions that are not ours.
_DISCOVERY_TIME = 1.5
_STILL = (RobotState.STOPPED, RobotState.FAULT)


class Runner(Node):
    """Publishes one action at a time, the next one after the answer and the observation that follow the last one.

    Publishers:
        robot/action (cls_interfaces/RobotAction)

    Subscribers:
        robot/info (cls_interfaces/RobotInfo), robot/state (cls_interfaces/RobotState),
        robot/applied_action (cls_interfaces/AppliedAction), joint_states (sensor_msgs/JointState),
        camera/image_raw (sensor_msgs/Image) or the robot's first observation/<modality> (cls_interfaces/Observation),
        recorder/status (cls_interfaces/RecorderStatus)

    Args:
        make_actor: makes the actor from the robot's description.
        records: wait until a recorder records.
        is_guest: the robot already ran, so that another process may command it.
    """

    def __init__(
        self,
        context: Context,
        namespace: str,
        make_actor: Callable[[RobotInfo], Actor],
        *,
        records: bool,
        is_guest: bool,
    ) -> None:
        super().__init__(SOURCE, namespace=namespace, context=context, **OPTIONS)
        self._make_actor = make_actor
        self._records = records
        self._is_guest = is_guest
        self._discovery_until = 0.0
        self.actor: Actor | None = None
        self.recorder: RecorderStatus | None = None
        self._state: RobotState | None = None
        self._image: Any = None
        self._action = publisher(self, comms.ROBOT_ACTION)
        subscription(self, comms.ROBOT_INFO, self._on_info)
        subscription(self, comms.ROBOT_STATE, self._on_state)
        subscription(self, comms.APPLIED_ACTION, self._on_applied)
        subscription(self, comms.JOINT_STATES, self._on_joints)
        subscription(self, comms.RECORDER_STATUS, self._on_recorder)

    @property
    def waits_for(self) -> str:
        """What is missing before an action can be sent; empty if nothing is."""
        if self.actor is None:
            return 'a robot (robot/info)'
        if self._state is None or self._state.state in _STILL:
            return f'the robot to be ready ({self._state.error_msg if self._state else "robot/state"})'
        if not self._action.get_subscription_count():
            return 'the robot to listen (robot/action)'
        if self._records and not (self.recorder and self.recorder.recording and self.recorder.session):
            return f'the recorder ({(self.recorder and self.recorder.fault) or "recorder/status"})'
        if time.monotonic() < self._discovery_until:
            return 'the discovery of other nodes'
        return self.actor.lacks

    def check_alone(self) -> None:
        """Raises UserError if another node publishes actions for this robot."""
        if self.count_publishers(comms.ROBOT_ACTION.name) > 1:
            raise _not_alone()

    def send_due(self) -> None:
        """Sends the action that is due, if any; called after each turn of the executor.

        Raises:
            UserError: the typed text is no action.
        """
        if self.actor is None:
            return
        if command := self.actor.repeat():
            self._send(command)
        if not self.waits_for and (command := self.actor.act()):
            self._send(command)

    def _send(self, command: Command) -> None:
        message = RobotAction(source=SOURCE, sequence=command.sequence, values=to_floats(command.values))
        message.header.stamp = self.get_clock().now().to_msg()
        self._action.publish(message)

    def image(self) -> Any:
        """Returns the newest image, uint8 (H, W, 3) RGB; None if there is none."""
        return from_image(self._image) if self._image is not None else None

    def _on_info(self, message: RobotInfoMessage) -> None:
        robot = from_robot_info(message)
        if self.actor is not None:
            if robot != self.actor.robot:
                raise UserError('the robot was replaced by another one', found=robot.name)
            self.actor.restart()
            return
        self.actor = self._make_actor(robot)
        self._discovery_until = time.monotonic() + (_DISCOVERY_TIME if self._is_guest else 0.0)
        if robot.lock_step:
            self.set_parameters([Parameter('use_sim_time', value=True)])
        if 'camera' in robot.modalities:
            # In lock-step a lost image would stop the simulation.
            profile = comms.SENSOR_RELIABLE if robot.lock_step else comms.SENSOR
            subscription(self, comms.IMAGE, self._on_image, profile=profile)
        else:
            subscription(self, comms.observation_topic(robot.modalities[0]), self._on_observation)

    def _on_image(self, message: Any) -> None:
        self._image = message
        self._on_observation(message)

    def _on_observation(self, message: Any) -> None:
        assert self.actor is not None
        self.actor.add_observation(to_nanoseconds(message.header.stamp))

    def _on_state(self, message: RobotState) -> None:
        self._state = message
        if self.actor is not None and message.state in _STILL:
            self.actor.news = f'the robot takes no actions: {message.error_msg}; waiting'

    def _on_joints(self, message: Any) -> None:
        if self.actor is not None:
            self.actor.set_joints(to_array(message.position, np.float64))

    def _on_applied(self, message: AppliedAction) -> None:
        if self.actor is None:
            return
        applied = from_applied_action(message)
        is_refused = message.error_code != AppliedAction.NONE
        trouble = f'{message.error_msg} ({message.error_code})' if is_refused else ''
        is_ours = self.actor.add_applied_action(message.sequence, message.source, applied, trouble)
        if self._is_guest and not is_ours:
            raise _not_alone()

    def _on_recorder(self, message: RecorderStatus) -> None:
        self.recorder = message


def _not_alone() -> UserError:
    return UserError(
        'another node commands this robot',
        expected='no learner, teleop or other runner',
        do='End it first, or set another ROS_DOMAIN_ID.',
    )


class Spinner:
    """A runner and its executor, which spins in the caller's thread."""

    def __init__(self, runner: Runner, executor: SingleThreadedExecutor) -> None:
        self.runner = runner
        self._executor = executor

    def spin(self, timeout: float) -> None:
        """Handles one message, waiting up to `timeout` s for it."""
        self._executor.spin_once(timeout_sec=timeout)


@contextmanager
def join(
    namespace: str, make_actor: Callable[[RobotInfo], Actor], *, records: bool, is_guest: bool
) -> Iterator[Spinner]:
    """Joins the graph until the block ends; see Runner."""

    def make(context: Context) -> Runner:
        return Runner(context, namespace, make_actor, records=records, is_guest=is_guest)

    with private_node(make) as (runner, executor):
        yield Spinner(runner, executor)
