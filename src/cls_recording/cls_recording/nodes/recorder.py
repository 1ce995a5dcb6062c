"""The node `recorder`: records the topics of a graph as a standard bag."""

from collections.abc import Sequence
import sys
import time
from typing import Any

from rclpy.node import Node
from std_srvs.srv import Trigger

from cls_common import comms
from cls_common.errors import UserError
from cls_common.nodes import qos
from cls_common.nodes.conversions import encoder_config, from_robot_info
from cls_common.nodes.parameters import declare
from cls_common.nodes.retrying_client import RetryingClient
from cls_common.nodes.runner import run
from cls_common.robot import RobotInfo
from cls_interfaces.msg import LearnerStatus, RecorderStatus
from cls_interfaces.msg import RobotInfo as RobotInfoMessage
from cls_interfaces.srv import GetEncoder, StartRecording

from ..graph_end import GraphEnd
from ..message_queue import ReceivedMessage
from ..recording import Recording
from ..session_writer import RecordingProgress
from ..settings import RecorderSettings
from ..topic_selection import observations, select, split_names
from .raw_subscriptions import RawSubscriptions

_STATUS_PERIOD = 0.5
# Status periods between two looks for new publishers.
_REFRESH_EVERY = 2
_RETRY_PERIOD = 3.0


class Recorder(Node):
    """Writes messages undecoded into `sessions_dir/<robot>/<session>/`.

    Parameters: the fields of `cls_recording.settings.RecorderSettings`.

    Publishers:
        recorder/status (cls_interfaces/RecorderStatus): latched, 2 Hz.

    Subscribers:
        The topics recorded, raw, while it records: `topics`, or those of
            `cls_recording.topic_selection.USUAL` and the robot's observation/<modality>.
        robot/info (cls_interfaces/RobotInfo), fast_learner/status, slow_learner/status (cls_interfaces/LearnerStatus):
            for the session's metadata.

    Services:
        recorder/start (cls_interfaces/StartRecording), recorder/stop (std_srvs/Trigger)

    Clients: encoder/get_encoder (cls_interfaces/GetEncoder).

    Timers (steady clock): status, search for new publishers.
    """

    def __init__(self) -> None:
        super().__init__('recorder')
        self._settings = declare(self, RecorderSettings)
        self._robot: RobotInfo | None = None
        self._metadata: dict[str, object] = {}
        self._recording: Recording | None = None
        self._raw_subscriptions: RawSubscriptions | None = None
        self._last = RecordingProgress(budget_bytes=self._settings.budget_bytes)
        self._ticks = 0
        self._graph_end = GraphEnd()
        self._status = qos.publisher(self, comms.RECORDER_STATUS)
        qos.subscription(self, comms.ROBOT_INFO, self._on_robot_info)
        qos.subscription(self, comms.FAST_STATUS, self._on_learner)
        qos.subscription(self, comms.SLOW_STATUS, self._on_learner)
        self._encoder = RetryingClient(qos.client(self, comms.GET_ENCODER), retry_after=_RETRY_PERIOD)
        self.create_service(StartRecording, comms.START_RECORDING.name, self._on_start)
        self.create_service(Trigger, comms.STOP_RECORDING.name, self._on_stop)
        if self._settings.autostart:
            self._start(self._settings.name, split_names(self._settings.topics))
        qos.steady_timer(self, _STATUS_PERIOD, self._on_tick)

    @property
    def progress(self) -> RecordingProgress:
        """Progress of the current recording, or of the last one."""
        return self._recording.progress if self._recording is not None else self._last

    def wind_down(self) -> bool:
        """Continues while publishers of its topics end too, so that the session has what they publish last."""
        if self._recording is None or self._raw_subscriptions is None:
            return True
        return self._graph_end.is_over(self._raw_subscriptions.count_publishers(), time.monotonic())

    def close(self) -> None:
        """Closes the session."""
        self._stop()
        self._publish()

    def _start(self, name: str, topics: list[str]) -> None:
        recording = Recording(self._settings, name, self._log)
        if self._robot is not None:
            recording.identify(self._robot)
        recording.describe(**self._metadata)
        recording.start()
        self._recording = recording
        names = select(topics, clock=self._settings.clock)
        self._raw_subscriptions = RawSubscriptions(self, names, self._on_message, recording.report_lost)
        self._is_usual = not topics
        self._add_modalities()
        self._metadata.pop('encoder', None)
        self._ticks = 0

    def _stop(self) -> None:
        if self._raw_subscriptions is not None:
            self._raw_subscriptions.close()
            self._raw_subscriptions = None
        recording, self._recording = self._recording, None
        if recording is not None:
            self._last = recording.stop()

    def _on_message(self, message: ReceivedMessage) -> None:
        if self._recording is not None:
            self._recording.put(message)

    def _log(self, text: str, is_wrong: bool) -> None:
        (self.get_logger().error if is_wrong else self.get_logger().info)(text)

    def _on_robot_info(self, message: RobotInfoMessage) -> None:
        try:
            self._robot = from_robot_info(message)
        except UserError as error:
            self.get_logger().error(f'robot/info: {error}')
            return
        if self._recording is not None:
            self._recording.identify(self._robot)
            self._add_modalities()

    def _add_modalities(self) -> None:
        if self._raw_subscriptions is not None and self._robot is not None and self._is_usual:
            self._raw_subscriptions.add(observations(self._robot))

    def _on_learner(self, message: LearnerStatus) -> None:
        metadata = {'model': message.model, 'run_id': message.run_id, 'config_sha256': message.config_sha256}
        self._describe({name: text for name, text in metadata.items() if text})

    def _describe(self, metadata: dict[str, object]) -> None:
        self._metadata |= metadata
        if self._recording is not None:
            self._recording.describe(**metadata)

    def _on_start(self, request: StartRecording.Request, response: StartRecording.Response) -> StartRecording.Response:
        try:
            if self._recording is not None and self._recording.progress.recording:
                found = self._recording.progress.session
                raise UserError('a session is being recorded', found=found, do='Call recorder/stop first.')
            self._stop()
            self._start(request.name, list(request.topics))
        except UserError as error:
            response.success, response.message = False, str(error)
            return response
        response.success, response.session = True, self.progress.session
        response.message = 'recording' if response.session else 'recording begins when robot/info arrives'
        return response

    def _on_stop(self, _request: Any, response: Trigger.Response) -> Trigger.Response:
        was_recording = self.progress.recording
        self._stop()
        response.success = was_recording and not self._last.fault
        response.message = self._last.fault or (self._last.session if was_recording else 'nothing was being recorded')
        self._publish()
        return response

    def _on_tick(self) -> None:
        self._ticks += 1
        if self._recording is not None and self._recording.progress.recording:
            if self._raw_subscriptions is not None and self._ticks % _REFRESH_EVERY == 1:
                self._raw_subscriptions.refresh()
            if 'encoder' not in self._metadata:
                self._encoder.request(GetEncoder.Request(with_weights=False), self._on_encoder)
        elif self._raw_subscriptions is not None:
            # The disk failed: without subscriptions, images are no longer compressed for the recorder.
            self._stop()
        self._publish()

    def _on_encoder(self, answer: GetEncoder.Response) -> None:
        if answer.encoder_id:
            self._describe({'encoder': encoder_config(answer)})

    def _publish(self) -> None:
        topics = self._raw_subscriptions.topics if self._raw_subscriptions is not None else []
        message = RecorderStatus(**vars(self.progress), topics=topics)
        message.header.stamp = self.get_clock().now().to_msg()
        self._status.publish(message)


def main(args: Sequence[str] | None = None) -> int:
    """Runs the recorder."""
    return run(Recorder, args)


if __name__ == '__main__':
    sys.exit(main())
