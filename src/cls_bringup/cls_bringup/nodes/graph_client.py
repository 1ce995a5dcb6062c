"""Client of a running graph: calls with a deadline, and errors that name the missing node."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
import os
import threading
import time
from typing import Any

from action_msgs.srv import CancelGoal
from rclpy.action import ActionClient
from rclpy.client import Client
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import Image as ImageMessage
from std_srvs.srv import Trigger

from cls_common import comms
from cls_common.errors import UserError
from cls_common.images import Image
from cls_common.nodes import qos
from cls_common.nodes.conversions import from_image
from cls_interfaces.action import Sleep
from cls_interfaces.msg import LearnerStatus, PlayerStatus, RobotState
from cls_interfaces.srv import SetMode

from ..run_directory import domain
from ..snapshot import LearnerStatuses, Replayed
from .manual import ManualControl
from .snapshots import to_replayed, to_snapshot

# s; discovery takes a quarter of a second on an idle machine, two and more on a busy one.
_DISCOVERY, _POLL_PERIOD = 4.0, 0.02
# s; a request to a server that ended is never answered, not even by its successor, so it is repeated.
_RETRY_PERIOD = 2.0
# Joining a running graph took 0.45 s (median) with our DDS profile.
_JOIN_TIME = 1.0
_TURN = 0.1
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
        super().__init__(
            f'cls_cli_{os.getpid()}',
            namespace=namespace,
            context=context,
            enable_rosout=False,
            start_parameter_services=False,
            use_global_arguments=False,
        )
        self.manual = ManualControl(self)
        self.robot_state: RobotState | None = None
        self.replay: Replayed | None = None
        self._image: ImageMessage | None = None
        self._statuses: dict[str, tuple[LearnerStatus, float]] = {}
        self._received = threading.Condition()
        self._clients_by_name: dict[str, Client] = {}
        # Created at once, so that an emergency stop does not wait for discovery.
        self._client(comms.EMERGENCY_STOP)
        qos.subscription(self, comms.FAST_STATUS, partial(self._on_status, 'fast'))
        qos.subscription(self, comms.SLOW_STATUS, partial(self._on_status, 'slow'))
        qos.subscription(self, comms.ROBOT_STATE, self._on_state)
        qos.subscription(self, comms.PLAYER_STATUS, self._on_player)

    def pair(self) -> LearnerStatuses:
        """Returns the newest status of both learners."""
        with self._received:
            messages = {name: message for name, (message, _) in self._statuses.items()}
        return LearnerStatuses(
            *(to_snapshot(messages[name]) if name in messages else None for name in ('fast', 'slow'))
        )

    def await_statuses(self, deadline: float) -> LearnerStatuses:
        """Returns both statuses once received, else those received by `deadline` (steady clock, s)."""
        with self._received:
            self._received.wait_for(lambda: len(self._statuses) == 2, max(0.0, deadline - time.monotonic()))
        return self.pair()

    def watch_camera(self) -> None:
        """Subscribes to the camera, for `picture`."""
        qos.subscription(self, comms.IMAGE, self._on_image)

    def picture(self) -> Image | None:
        """Returns the newest image of the camera, uint8 (H, W, 3) RGB; None before the first."""
        message = self._image
        return None if message is None else from_image(message)

    def count_learners(self) -> int:
        """Returns the number of learners in the graph, with or without a status yet."""
        return sum(self.count_publishers(topic.name) > 0 for topic in (comms.FAST_STATUS, comms.SLOW_STATUS))

    def check_alone(self) -> None:
        """Raises UserError where a learner runs already, such as one that `ros2 launch` started."""
        if _wait_until(lambda: self.count_learners() > 0, _JOIN_TIME):
            raise UserError(
                f'a learner runs already in ROS domain {domain()}',
                expected='no other graph in this namespace',
                do='End it, or set another ROS_DOMAIN_ID.',
            )

    def set_mode(self, mode: str) -> str:
        """Sets the mode; returns the message of the learner."""
        reply = self.call(comms.SET_MODE, SetMode.Request(mode=mode), _MODE_TIMEOUT)
        if not reply.success:
            raise UserError(f'mode {mode!r} was refused', found=reply.message)
        return reply.message or f'mode {reply.mode}'

    def save_model(self, give_up: Callable[[], bool] = lambda: False) -> str:
        """Saves the next generation; returns the message of the learner. Stops waiting when `give_up()`."""
        return self._trigger(comms.SAVE_MODEL, _SAVE_TIMEOUT, again=_SAVE_TIMEOUT, give_up=give_up)

    def emergency_stop(self) -> str:
        """Stops the robot until `rearm`."""
        return self._trigger(comms.EMERGENCY_STOP, _STOP_TIMEOUT, again=0.5)

    def rearm(self) -> str:
        """Lets the robot move again."""
        return self._trigger(comms.REARM, _STOP_TIMEOUT)

    def _trigger(
        self,
        service: comms.Service,
        timeout: float,
        again: float = _RETRY_PERIOD,
        give_up: Callable[[], bool] = lambda: False,
    ) -> str:
        reply = self.call(service, Trigger.Request(), timeout, again, give_up)
        if not reply.success:
            raise UserError(f'{service.name} failed', found=reply.message)
        return str(reply.message)

    def call(
        self,
        service: comms.Service,
        request: Any,
        timeout: float,
        again: float = _RETRY_PERIOD,
        give_up: Callable[[], bool] = lambda: False,
    ) -> Any:
        """Calls a service of the table and returns the reply.

        Args:
            timeout: s for the answer, after the server was found.
            again: s after which an unanswered request is sent again; all our services are idempotent.
            give_up: polled ten times a second; true ends the wait.

        Raises:
            UserError: no server, or no answer in time.
        """
        client = self._client(service)
        if not _wait_until(client.service_is_ready, _DISCOVERY):
            raise missing(service)
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            future = client.call_async(request)
            turn = min(deadline, time.monotonic() + again)
            while time.monotonic() < turn and not give_up():
                if _finished(future, min(_TURN, turn - time.monotonic())):
                    return future.result()
            client.remove_pending_request(future)
            if give_up():
                raise UserError(f'{service.name} was cancelled before it was answered')
        raise UserError(
            f'{service.name} was not answered within {timeout:g} s', do='See the log of ' + _servers(service)
        )

    def _client(self, service: comms.Service) -> Client:
        if service.name not in self._clients_by_name:
            self._clients_by_name[service.name] = qos.client(self, service)
        return self._clients_by_name[service.name]

    def sleep(self, steps: Mapping[str, int] = {}, on_feedback: Callable[[Any], None] = lambda _: None) -> 'SleepGoal':
        """Sends a Sleep goal.

        Args:
            steps: by phase; 0 or missing: as configured, -1: skip the phase.
            on_feedback: called with each Sleep feedback, from another thread.

        Raises:
            UserError: no server, or the goal is rejected.
        """
        client = ActionClient(self, Sleep, comms.SLEEP.name)
        if not _wait_until(client.server_is_ready, _DISCOVERY):
            raise missing(comms.SLEEP)
        goal = Sleep.Goal(phases=list(steps), steps=list(steps.values()))
        sent = client.send_goal_async(goal, feedback_callback=lambda message: on_feedback(message.feedback))
        if not _finished(sent, _STOP_TIMEOUT):
            raise UserError('the sleep goal was not answered', do='See the log of slow_learner.')
        if not sent.result().accepted:
            raise UserError('the sleep goal was rejected', do='It sleeps already, or has no weights yet.')
        return SleepGoal(client, sent.result())

    def cancel_sleep(self) -> None:
        """Cancels every running sleep; returns when the request was received, not when the sleep has ended."""
        request = CancelGoal.Request()  # an empty goal id means all goals
        self.call(CANCEL_SLEEP, request, _STOP_TIMEOUT)

    def _on_status(self, name: str, message: LearnerStatus) -> None:
        with self._received:
            self._statuses[name] = (message, time.monotonic())
            self._received.notify_all()

    def _on_image(self, message: ImageMessage) -> None:
        self._image = message

    def _on_state(self, message: RobotState) -> None:
        self.robot_state = message

    def _on_player(self, message: PlayerStatus) -> None:
        self.replay = to_replayed(message)


class SleepGoal:
    """An accepted Sleep goal."""

    def __init__(self, client: ActionClient, handle: Any) -> None:
        self._client, self._handle = client, handle
        self._result = handle.get_result_async()

    def wait(self, timeout: float) -> Any | None:
        """Returns the Sleep result, or None if there is none within `timeout` s."""
        return self._result.result().result if _finished(self._result, timeout) else None

    @property
    def is_served(self) -> bool:
        """Whether the server is present; one that was killed stays discovered for 20 s."""
        return bool(self._client.server_is_ready())

    def cancel(self) -> None:
        """Requests cancellation; the result still follows."""
        self._handle.cancel_goal_async()


def missing(service: comms.Service) -> UserError:
    """Returns the error of a service without a server."""
    return UserError(
        f'no answer of {service.name!r} in ROS domain {domain()}',
        expected=_servers(service) + ' to run',
        do='Start it with `./cls up`, or set ROS_DOMAIN_ID and --namespace to those of the graph.',
    )


def _servers(service: comms.Service) -> str:
    return ' or '.join(service.servers)


def _wait_until(condition: Callable[[], bool], timeout: float) -> bool:
    deadline = time.monotonic() + timeout
    never = threading.Event()
    while not condition():
        if time.monotonic() > deadline:
            return False
        never.wait(_POLL_PERIOD)
    return True


def _finished(future: Any, timeout: float) -> bool:
    event = threading.Event()
    future.add_done_callback(lambda _: event.set())
    return event.wait(timeout)


@contextmanager
def connect(namespace: str = '') -> Iterator[GraphClient]:
    """Joins the graph, with a thread that spins the node until the block ends."""
    context = Context()
    context.init(args=[])
    executor = SingleThreadedExecutor(context=context)
    ending = threading.Event()

    def spin() -> None:
        try:
            while not ending.is_set():
                executor.spin_once(timeout_sec=0.2)
        except ExternalShutdownException:
            pass

    try:
        remote = GraphClient(context, namespace)
        executor.add_node(remote)
        thread = threading.Thread(target=spin, name='cls_cli', daemon=True)
        thread.start()
        try:
            yield remote
        finally:
            ending.set()
            executor.wake()
            thread.join(2.0)
            executor.shutdown(timeout_sec=1.0)
            remote.destroy_node()
    finally:
        context.try_shutdown()
