"""The node `player`: a recorded session in the robot's place."""

from collections.abc import Sequence
import sys
import time
from typing import Any

from rclpy.node import Node
from rclpy.serialization import serialize_message
from rosgraph_msgs.msg import Clock
from std_srvs.srv import SetBool

from cls_common import comms
from cls_common.errors import UserError
from cls_common.nodes import qos
from cls_common.nodes.asking import Asking
from cls_common.nodes.conversions import to_nanoseconds, to_robot_info, to_time
from cls_common.nodes.parameters import declare
from cls_common.nodes.runner import run
from cls_common.robot import RobotInfo
from cls_interfaces.msg import PlayerStatus
from cls_interfaces.srv import GetEncoder, GetExperiences, Seek, SetRate

from ..playing.items import Break
from ..playing.reading import Choice, EncoderAnswer
from ..playing.replay import Replay, State
from ..playing.settings import PlayerSettings
from ..playing.sources import open_sources
from .outlets import Outlets

_STATUS_PERIOD = 0.5
# For timeouts, listeners that come, and /clock; the rest is moved by time and answers.
_LOOK_PERIOD = 0.05
# Messages published before callbacks get their turn.
_AT_ONCE, _SOON = 100, 1e-4
_AFTER_ALL = 2**64 - 1


class Player(Node):
    """A recorded session with the topics of the robot it was recorded from. It never publishes robot/action.

    Parameters: the fields of `cls_recording.playing.settings.PlayerSettings`.

    Publishers:
        camera/image_raw, camera/camera_info, camera/image_raw/compressed, observation/<modality>, joint_states,
        robot/state, robot/applied_action: what was recorded of them, raw; images reliable, made of compressed ones
            where only those were recorded, and compressed for who listens where only raw ones were.
        embedding (cls_interfaces/Embedding): recorded ones where the encoder is their maker, and then no raw images.
        robot/info (cls_interfaces/RobotInfo): latched, and again wherever a new chain begins.
        player/status (cls_interfaces/PlayerStatus): latched, 2 Hz and at every change of state.
        /clock (rosgraph_msgs/Clock): log time; in lock-step the time of what went out last.

    Subscribers:
        experience (cls_interfaces/Experience), fast_learner/status (cls_interfaces/LearnerStatus): paces the replay.
        embedding (cls_interfaces/Embedding): where the encoder makes them.

    Services:
        player/set_paused (std_srvs/SetBool), player/set_rate (cls_interfaces/SetRate),
        player/seek (cls_interfaces/Seek).

    Services (client):
        encoder/get_encoder (cls_interfaces/GetEncoder), fast_learner/get_experiences (cls_interfaces/GetExperiences).

    Timers (steady clock): the next message; its conditions and /clock at 20 Hz; status at 2 Hz.
    """

    def __init__(self) -> None:
        super().__init__('player')
        self.finished = False
        self._settings = declare(self, PlayerSettings)
        sources = open_sources(self._settings.paths)
        self._replay = Replay(sources, self._settings, _serialise)
        for source in sources:
            if source.missing:
                self.get_logger().warning(f'session {source.path} lacks {", ".join(source.missing)}')
        self._clock_out = qos.publisher(self, comms.CLOCK)
        self._status_out = qos.publisher(self, comms.PLAYER_STATUS)
        self._outlets = Outlets(self)
        self._opened: tuple[int, Choice] | None = None
        self._said: State | None = None
        self._broken = 0
        self._shown_ns: int | None = None
        self._listen()
        # A new model needs to know the robot before anybody can learn.
        self._outlets.say_info(self._replay.info)
        self._due = qos.steady_timer(self, _LOOK_PERIOD, self._pump)
        qos.steady_timer(self, _LOOK_PERIOD, self._look)
        qos.steady_timer(self, _STATUS_PERIOD, self._say)
        self._say()

    def close(self) -> None:
        """Closes the session."""
        self._replay.course.close()

    def _listen(self) -> None:
        qos.subscription(self, comms.EXPERIENCE, self._on_experience)
        qos.subscription(self, comms.FAST_STATUS, self._on_status)
        self._embeddings: Any = None
        self.create_service(SetBool, comms.PAUSE_PLAYER.name, self._on_set_paused)
        self.create_service(SetRate, comms.SET_PLAYER_RATE.name, self._on_set_rate)
        self.create_service(Seek, comms.SEEK_PLAYER.name, self._on_seek)
        self._encoder = Asking(qos.client(self, comms.GET_ENCODER), again=2.0)
        self._learner = Asking(qos.client(self, comms.GET_EXPERIENCES), again=1.0)

    def _on_experience(self, message: Any) -> None:
        self._replay.hear_experience(
            message.sequence, to_nanoseconds(message.stamp_next), ends_cycle=message.ends_cycle
        )
        self._pump()

    def _on_status(self, message: Any) -> None:
        self._replay.learner.hear_status(
            phase=message.phase, mode=message.mode, loaded=message.loaded, total_steps=message.total_steps,
            fault=message.fault, now=time.monotonic(),
        )  # fmt: skip
        self._pump()

    def _on_embedding(self, message: Any) -> None:
        self._replay.hear_embedding(to_nanoseconds(message.header.stamp), time.monotonic())
        self._pump()

    def _on_set_paused(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        self._replay.is_paused = request.data
        response.success, response.message = True, 'paused' if request.data else 'goes on'
        self._pump()
        return response

    def _on_set_rate(self, request: SetRate.Request, response: SetRate.Response) -> SetRate.Response:
        try:
            self._replay.course.pace.set_rate(request.rate)
            response.success, response.message = True, f'rate {request.rate:g}'
        except UserError as error:
            response.message = str(error)
        self._pump()
        return response

    def _on_seek(self, request: Seek.Request, response: Seek.Response) -> Seek.Response:
        try:
            self._replay.seek(request.session_index, request.position)
            response.success, response.message = True, f'at {request.position:g} s of {self._replay.course.source.path}'
        except UserError as error:
            response.message = str(error)
        self._pump()
        return response

    def _on_encoder(self, answer: GetEncoder.Response) -> None:
        shown = self._replay.course.hear_encoder(EncoderAnswer(answer.encoder_id, answer.modality))
        self._open_outlets()
        if shown is not None:
            self._outlets.publish(shown)
        self._pump()

    def _on_learner(self, number: int) -> None:
        self._replay.barrier.hear(number)
        self._pump()

    def _look(self) -> None:
        """Asks what has to be asked, and notices who listens."""
        if self._replay.course.choice is None:
            self._encoder.ask(GetEncoder.Request(with_weights=False), self._on_encoder)
        self._pump()
        if self._replay.state is State.WAITING and self._replay.course.choice is not None:
            self._replay.is_connected = self._outlets.are_heard

    def _pump(self) -> None:
        """Publishes what may go out now."""
        for _ in range(_AT_ONCE):
            entry = self._replay.advance(time.monotonic())
            self._open_outlets()
            self._say_clock()
            if entry is None:
                break
            if isinstance(entry, Break):
                self._outlets.say_info(self._replay.info)
            else:
                self._outlets.publish(entry)
        else:
            self._await(_SOON)
            return
        self._await(self._replay.course.seconds_until_next())
        if self._replay.barrier.is_up:
            self._ask_learner()
        if self._replay.state is not self._said:
            self._say()

    def _ask_learner(self) -> None:
        # Asked for what no learner has lived yet, the answer is short.
        number = self._replay.barrier.wanted
        request = GetExperiences.Request(after=_AFTER_ALL)
        self._learner.ask(request, lambda _: self._on_learner(number), number)

    def _await(self, seconds: float) -> None:
        """Sets the timer to the next message; where something else than time is awaited, that comes by itself."""
        self._due.cancel()
        if seconds > 0.0:
            self._due.timer_period_ns = max(round(seconds * 1e9), 100_000)
            self._due.reset()

    def _open_outlets(self) -> None:
        choice = self._replay.course.choice
        if choice is None or self._opened == (self._replay.course.index, choice):
            return
        self._opened = (self._replay.course.index, choice)
        self._outlets.open(self._replay.course.source, choice)
        if self._settings.with_learner:
            self._replay.is_connected = False
            if self._embeddings is None and not choice.reuses:
                self._embeddings = qos.subscription(self, comms.EMBEDDING, self._on_embedding)

    def _say_clock(self) -> None:
        now_ns = self._replay.clock_ns
        if now_ns is not None and now_ns != self._shown_ns:
            self._shown_ns = now_ns
            self._clock_out.publish(Clock(clock=to_time(now_ns)))

    def _say(self) -> None:
        """Says how it goes."""
        replay, course = self._replay, self._replay.course
        self._said = replay.state
        self.finished = self._settings.exit_at_end and replay.state is State.FINISHED
        status = PlayerStatus(
            state=int(replay.state), session=str(course.source.path), session_index=course.index,
            sessions=len(course.sources), position=course.position, duration=course.source.duration,
            progress=replay.progress, rate=course.pace.rate, steps=replay.steps, filtered=replay.filtered,
            unanswered=replay.answers.unanswered, missing=course.source.missing, fault=replay.fault,
            reuses_embeddings=course.choice is not None and course.choice.reuses,
        )  # fmt: skip
        status.header.stamp = self.get_clock().now().to_msg()
        self._status_out.publish(status)
        broken, problem = course.broken
        if broken > self._broken:
            self.get_logger().warning(f'{broken} images of {course.source.path} are broken and left out: {problem}')
        self._broken = broken


def _serialise(robot: RobotInfo) -> bytes:
    return bytes(serialize_message(to_robot_info(robot, to_time(0))))


def main(args: Sequence[str] | None = None) -> int:
    """Runs the node."""
    return run(Player, args)


if __name__ == '__main__':
    sys.exit(main())
