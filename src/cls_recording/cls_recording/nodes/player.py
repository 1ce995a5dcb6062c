"""The node `player`: replays recorded sessions in the robot's place."""

from collections.abc import Sequence
import sys
import time
from typing import Any

from rclpy.node import Node
from rclpy.serialization import serialize_message

from cls_common import comms
from cls_common.experience_codec import from_message
from cls_common.nodes import qos
from cls_common.nodes.conversions import to_nanoseconds, to_robot_info, to_time
from cls_common.nodes.parameters import declare
from cls_common.nodes.retrying_client import RetryingClient
from cls_common.nodes.runner import run
from cls_common.robot import RobotInfo
from cls_interfaces.srv import GetEncoder, GetExperiences

from ..playback.items import Boundary
from ..playback.replay import PlaybackState, Replay
from ..playback.session_stream import EncoderAnswer, StreamSelection
from ..playback.settings import PlayerSettings
from ..playback.sources import open_sources
from .player_services import PlayerServices
from .player_status import PlayerStatus
from .publishers import SessionPublishers

_STATUS_PERIOD = 0.5
# Period for timeouts, new subscribers and /clock; everything else is driven by the timer and by answers.
_CHECK_PERIOD = 0.05
# Messages published before other callbacks run, and the delay until the next batch, s.
_BATCH, _SOON = 100, 1e-4
_BEYOND_ALL = 2**64 - 1


class Player(Node):
    """Publishes the topics of a recorded robot. robot/action is never published.

    Parameters: the fields of `cls_recording.playback.settings.PlayerSettings`.

    Publishers:
        camera/image_raw, camera/camera_info, camera/image_raw/compressed, observation/<modality>, joint_states,
        robot/state, robot/applied_action: as recorded, raw; images reliable, converted from compressed ones where only
            those were recorded, and compressed for subscribers where only raw ones were.
        embedding (cls_interfaces/Embedding): recorded ones if they are of the same encoder, and then no raw images.
        robot/info (cls_interfaces/RobotInfo): latched, and again at each boundary.
        player/status (cls_interfaces/PlayerStatus): latched, 2 Hz and at every change of state.
        /clock (rosgraph_msgs/Clock): log time; in lock-step the newest published stamp.

    Subscribers:
        experience (cls_interfaces/Experience), fast_learner/status (cls_interfaces/LearnerStatus): paces the replay.
        embedding (cls_interfaces/Embedding): if the encoder computes them.

    Services:
        player/set_paused (std_srvs/SetBool), player/set_rate (cls_interfaces/SetRate),
        player/seek (cls_interfaces/Seek).

    Services (client):
        encoder/get_encoder (cls_interfaces/GetEncoder), fast_learner/get_experiences (cls_interfaces/GetExperiences).

    Timers (steady clock): the next message; its conditions and /clock at 20 Hz; status at 2 Hz, and the
    first vectors until the learner has weights.
    """

    def __init__(self) -> None:
        super().__init__('player')
        self._settings = declare(self, PlayerSettings)
        sources = open_sources(self._settings.paths)
        self._replay = Replay(sources, self._settings, _serialise)
        for source in sources:
            if source.missing:
                self.get_logger().warning(f'session {source.path} lacks {", ".join(source.missing)}')
        self._status = PlayerStatus(self, self._replay)
        self._session_publishers = SessionPublishers(self)
        self._opened: tuple[int, StreamSelection] | None = None
        self._embeddings: Any = None
        qos.subscription(self, comms.EXPERIENCE, self._on_experience)
        qos.subscription(self, comms.FAST_STATUS, self._on_status)
        PlayerServices(self, self._replay, self._publish_due)
        self._encoder = RetryingClient(qos.client(self, comms.GET_ENCODER), retry_after=2.0)
        self._learner = RetryingClient(qos.client(self, comms.GET_EXPERIENCES), retry_after=1.0)
        # A new model needs the robot before learning can begin.
        self._session_publishers.publish_robot_info(self._replay.info)
        self._due = qos.steady_timer(self, _CHECK_PERIOD, self._publish_due)
        qos.steady_timer(self, _CHECK_PERIOD, self._check)
        qos.steady_timer(self, _STATUS_PERIOD, self._status.publish)
        qos.steady_timer(self, _STATUS_PERIOD, self._publish_first_vectors)
        self._status.publish()

    @property
    def finished(self) -> bool:
        """Whether the node ends by itself, at the end of the last session."""
        return self._settings.exit_at_end and self._replay.state is PlaybackState.FINISHED

    def close(self) -> None:
        """Closes the session."""
        self._replay.playlist.close()

    def _on_experience(self, message: Any) -> None:
        stamp = from_message(message).transition.stamp_next
        self._replay.on_experience(message.sequence, stamp, ends_cycle=message.ends_cycle)
        self._publish_due()

    def _on_status(self, message: Any) -> None:
        self._replay.learner.on_status(
            phase=message.phase, mode=message.mode, loaded=message.loaded, total_steps=message.total_steps,
            fault=message.fault, now=time.monotonic(),
        )  # fmt: skip
        self._publish_due()

    def _on_embedding(self, message: Any) -> None:
        self._replay.on_embedding(to_nanoseconds(message.header.stamp), time.monotonic())
        self._publish_due()

    def _on_encoder(self, answer: GetEncoder.Response) -> None:
        shown = self._replay.playlist.on_encoder(EncoderAnswer(answer.encoder_id, answer.modality))
        self._open_publishers()
        if shown is not None:
            self._session_publishers.publish_first(self._replay.playlist.source, shown)
        self._publish_due()

    def _on_learner(self, number: int) -> None:
        self._replay.barrier.on_answer(number)
        self._publish_due()

    def _check(self) -> None:
        """Asks the encoder where needed, and checks for subscribers."""
        if self._replay.playlist.selection is None:
            self._encoder.request(GetEncoder.Request(with_weights=False), self._on_encoder)
        self._publish_due()
        if self._replay.state is PlaybackState.WAITING and self._replay.playlist.selection is not None:
            self._replay.is_connected = self._session_publishers.have_subscribers

    def _publish_first_vectors(self) -> None:
        """Publishes the first vectors until the learner has weights: a new model is made with their lengths.

        Not after the first action, where a vector of another time would break the chain of a restarted learner.
        """
        if self._settings.with_learner and not (self._replay.learner.is_loaded or self._replay.steps):
            for item in self._replay.playlist.first_vectors():
                self._session_publishers.publish_first(self._replay.playlist.source, item)

    def _publish_due(self) -> None:
        """Publishes all messages that are due."""
        for _ in range(_BATCH):
            entry = self._replay.advance(time.monotonic())
            self._open_publishers()
            self._status.publish_clock()
            if entry is None:
                break
            if isinstance(entry, Boundary):
                self._session_publishers.publish_robot_info(self._replay.info)
            else:
                self._session_publishers.publish(entry)
        else:
            self._schedule(_SOON)
            return
        self._schedule(self._replay.playlist.seconds_until_next())
        if self._replay.barrier.is_waiting:
            self._ask_learner()
        self._status.publish_change()

    def _ask_learner(self) -> None:
        # A sequence number beyond all experiences: the answer is empty.
        number = self._replay.barrier.wanted
        request = GetExperiences.Request(after=_BEYOND_ALL)
        self._learner.request(request, lambda _: self._on_learner(number), number)

    def _schedule(self, seconds: float) -> None:
        """Sets the timer to the next message; for 0 s a callback of an answer continues."""
        self._due.cancel()
        if seconds > 0.0:
            self._due.timer_period_ns = max(round(seconds * 1e9), 100_000)
            self._due.reset()

    def _open_publishers(self) -> None:
        selection = self._replay.playlist.selection
        if selection is None or self._opened == (self._replay.playlist.index, selection):
            return
        self._opened = (self._replay.playlist.index, selection)
        self._session_publishers.open(self._replay.playlist.source, selection)
        if self._settings.with_learner:
            self._replay.is_connected = False
            if self._embeddings is None and selection.needs_encoder:
                self._embeddings = qos.subscription(self, comms.EMBEDDING, self._on_embedding)


def _serialise(robot: RobotInfo) -> bytes:
    return bytes(serialize_message(to_robot_info(robot, to_time(0))))


def main(args: Sequence[str] | None = None) -> int:
    """Runs the node."""
    return run(Player, args)


if __name__ == '__main__':
    sys.exit(main())
