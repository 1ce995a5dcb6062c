"""Publishes the state and the time of a replay."""

from rclpy.node import Node
from rosgraph_msgs.msg import Clock

from cls_common import comms
from cls_common.nodes import qos
from cls_common.nodes.conversions import to_time
from cls_interfaces.msg import PlayerStatus as PlayerStatusMessage

from ..playback.replay import PlaybackState, Replay


class PlayerStatus:
    """Publishes player/status and /clock, and logs broken images."""

    def __init__(self, node: Node, replay: Replay) -> None:
        self._node = node
        self._replay = replay
        self._clock_out = qos.publisher(node, comms.CLOCK)
        self._status_out = qos.publisher(node, comms.PLAYER_STATUS)
        self._published_state: PlaybackState | None = None
        self._published_clock_ns: int | None = None
        self._broken = 0

    def publish_clock(self) -> None:
        """Publishes the time of the replay where it has changed."""
        now_ns = self._replay.clock_ns
        if now_ns is not None and now_ns != self._published_clock_ns:
            self._published_clock_ns = now_ns
            self._clock_out.publish(Clock(clock=to_time(now_ns)))

    def publish_change(self) -> None:
        """Publishes the status where the state has changed."""
        if self._replay.state is not self._published_state:
            self.publish()

    def publish(self) -> None:
        """Publishes the status."""
        replay, playlist = self._replay, self._replay.playlist
        self._published_state = replay.state
        status = PlayerStatusMessage(
            state=int(replay.state),
            session=str(playlist.source.path),
            session_index=playlist.index,
            sessions=len(playlist.sources),
            position=playlist.position,
            duration=playlist.source.duration,
            progress=replay.progress,
            rate=playlist.clock.rate,
            steps=replay.steps,
            filtered=replay.filtered,
            unanswered=replay.tracker.unanswered,
            missing=playlist.source.missing,
            fault=replay.fault,
            reuses_embeddings=playlist.selection is not None and playlist.selection.reuses,
        )
        status.header.stamp = self._node.get_clock().now().to_msg()
        self._status_out.publish(status)
        broken, problem = playlist.broken
        if broken > self._broken:
            path = playlist.source.path
            self._node.get_logger().warning(f'{broken} images of {path} are broken and left out: {problem}')
        self._broken = broken
