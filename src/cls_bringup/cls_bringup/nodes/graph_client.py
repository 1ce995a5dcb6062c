"""Client of a running graph: calls with a deadline, and errors that name the missing node."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
import os
import threading
import time
from typing import Any

from action_msgs.srv import CancelGoal
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from sensor_msgs.msg import Image as ImageMessage

from cls_common import comms, picture_grid
from cls_common.errors import UserError
from cls_common.images import Image
from cls_common.nodes import qos
from cls_common.nodes.conversions import from_image
from cls_common.nodes.private_node import OPTIONS, private_node
from cls_interfaces.msg import LearnerStatus, PlayerStatus, RobotState
from cls_interfaces.srv import SetMode

from ..run_directory import domain
from ..snapshot import LearnerStatuses, Replayed
from .manual import ManualControl
from .service_calls import ServiceCalls, wait_until
from .sleep_goal import SleepGoal
from .snapshots import to_replayed, to_snapshot

# Joining a running graph took 0.45 s (median) with our DDS profile.
_JOIN_TIME = 1.0
# Hidden service of every action server.
CANCEL_SLEEP = comms.Service(
    f'{comms.SLEEP.name}/_action/cancel_goal', 'action_msgs/srv/CancelGoal', comms.SLEEP.servers
)
_SAVE_TIMEOUT, _STOP_TIMEOUT, _MODE_TIMEOUT = 120.0, 5.0, 5.0


class GraphClient(Node):
    """A client node, spun by its own thread (see `connect`).

    Subscribers: fast_learner/status, slow_learner/status (LearnerStatus), robot/state (RobotState), player/status
    (PlayerStatus), and those of ManualControl.
    Publishers: those of ManualControl.
    Services (client): set_mode, save_model, emergency_stop, rearm.
    Actions (client): sleep.
    """

    def __init__(self, context: Context, namespace: str = '') -> None:
        super().__init__(f'cls_cli_{os.getpid()}', namespace=namespace, context=context, **OPTIONS)
        self.manual = ManualControl(self)
        self.robot_state: RobotState | None = None
        self.replay: Replayed | None = None
        self._image: ImageMessage | None = None
        self._pictures: ImageMessage | None = None
        self._watches_pictures = False
        self._statuses: dict[str, LearnerStatus] = {}
        self._received = threading.Condition()
        self._calls = ServiceCalls(self)
        # Created at once, so that an emergency stop does not wait for discovery.
        self._calls.client(comms.EMERGENCY_STOP)
        qos.subscription(self, comms.FAST_STATUS, partial(self._on_status, 'fast'))
        qos.subscription(self, comms.SLOW_STATUS, partial(self._on_status, 'slow'))
        qos.subscription(self, comms.ROBOT_STATE, self._on_state)
        qos.subscription(self, comms.PLAYER_STATUS, self._on_player)

    def statuses(self) -> LearnerStatuses:
        """Returns the newest status of both learners."""
        with self._received:
            messages = dict(self._statuses)
        return LearnerStatuses(
            *(to_snapshot(messages[name]) if name in messages else None for name in ('fast', 'slow'))
        )

    def await_statuses(self, deadline: float) -> LearnerStatuses:
        """Returns both statuses once received, else those received by `deadline` (steady clock, s)."""
        with self._received:
            self._received.wait_for(lambda: len(self._statuses) == 2, max(0.0, deadline - time.monotonic()))
        return self.statuses()

    def watch_camera(self) -> None:
        """Subscribes to the camera, for `picture`."""
        qos.subscription(self, comms.IMAGE, self._on_image)

    def picture(self) -> Image | None:
        """Returns the newest image of the camera, uint8 (H, W, 3) RGB; None before the first."""
        message = self._image
        return None if message is None else from_image(message)

    def watch_pictures(self) -> None:
        """Subscribes to the pictures of the brain, for `pictures`; they are made only from then on."""
        if not self._watches_pictures:
            self._watches_pictures = True
            qos.subscription(self, comms.PICTURES, self._on_pictures)

    def pictures(self) -> dict[str, Image]:
        """Returns the newest pictures of the brain by name, uint8 (H, W, 3) RGB; empty where it has none."""
        message = self._pictures
        if message is None:
            return {}
        names = message.header.frame_id.split(';')
        return dict(zip(names, picture_grid.split(from_image(message), len(names))))

    def count_learners(self) -> int:
        """Returns the number of learners in the graph, with or without a status yet."""
        return sum(self.count_publishers(topic.name) > 0 for topic in (comms.FAST_STATUS, comms.SLOW_STATUS))

    def check_alone(self) -> None:
        """Raises UserError where a learner runs already, such as one that `ros2 launch` started."""
        if wait_until(lambda: self.count_learners() > 0, _JOIN_TIME):
            raise UserError(
                f'a learner runs already in ROS domain {domain()}',
                expected='no other graph in this namespace',
                do='End it, or set another ROS_DOMAIN_ID.',
            )

    def set_mode(self, mode: str) -> str:
        """Sets the mode; returns the message of the learner."""
        reply = self._calls.call(comms.SET_MODE, SetMode.Request(mode=mode), _MODE_TIMEOUT)
        if not reply.success:
            raise UserError(f'mode {mode!r} was refused', found=reply.message)
        return reply.message or f'mode {reply.mode}'

    def save_model(self, give_up: Callable[[], bool] = lambda: False) -> str:
        """Saves the next generation; returns the message of the learner. Stops waiting when `give_up()`."""
        return self._calls.trigger(comms.SAVE_MODEL, _SAVE_TIMEOUT, again=_SAVE_TIMEOUT, give_up=give_up)

    def emergency_stop(self) -> str:
        """Stops the robot until `rearm`."""
        return self._calls.trigger(comms.EMERGENCY_STOP, _STOP_TIMEOUT, again=0.5)

    def rearm(self) -> str:
        """Lets the robot move again."""
        return self._calls.trigger(comms.REARM, _STOP_TIMEOUT)

    def sleep(self, steps: Mapping[str, int] = {}, on_feedback: Callable[[Any], None] = lambda _: None) -> SleepGoal:
        """Sends a Sleep goal; see SleepGoal for arguments and errors."""
        return SleepGoal(self, steps, on_feedback)

    def cancel_sleep(self) -> None:
        """Cancels every running sleep; returns when the request was received, not when the sleep has ended."""
        request = CancelGoal.Request()  # an empty goal id means all goals
        self._calls.call(CANCEL_SLEEP, request, _STOP_TIMEOUT)

    def _on_status(self, name: str, message: LearnerStatus) -> None:
        with self._received:
            self._statuses[name] = message
            self._received.notify_all()

    def _on_image(self, message: ImageMessage) -> None:
        self._image = message

    def _on_pictures(self, message: ImageMessage) -> None:
        self._pictures = message

    def _on_state(self, message: RobotState) -> None:
        self.robot_state = message

    def _on_player(self, message: PlayerStatus) -> None:
        self.replay = to_replayed(message)


@contextmanager
def connect(namespace: str = '') -> Iterator[GraphClient]:
    """Joins the graph, with a thread that spins the node until the block ends."""
    ending = threading.Event()
    with private_node(lambda context: GraphClient(context, namespace)) as (client, executor):

        def spin() -> None:
            with suppress(ExternalShutdownException):
                while not ending.is_set():
                    executor.spin_once(timeout_sec=0.2)

        thread = threading.Thread(target=spin, name='cls_cli', daemon=True)
        thread.start()
        try:
            yield client
        finally:
            ending.set()
            executor.wake()
            thread.join(2.0)
