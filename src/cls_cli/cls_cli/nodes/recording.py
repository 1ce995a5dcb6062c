"""A recorder in this process, with a progress line on the terminal."""

from collections.abc import Mapping
import sys
from typing import Any

from cls_bringup.run_directory import domain
from cls_bringup.supervision.commands import parameter_text
from cls_common import comms
from cls_common.errors import UserError
from cls_common.nodes import qos
from cls_common.nodes.runner import run
from cls_interfaces.msg import RecorderStatus
from cls_recording.nodes.recorder import Recorder
from cls_recording.session_writer import RecordingProgress

_LINE_PERIOD = 0.5
# Without a terminal, one line every ten seconds.
_QUIET_EVERY = 20


class TerminalRecorder(Recorder):
    """A recorder that prints its progress and ends if it cannot record.

    Parameters, topics and services: those of `Recorder`.

    Subscribers: recorder/status (cls_interfaces/RecorderStatus): another may record already.
    """

    def __init__(self) -> None:
        super().__init__()
        self._lines = 0
        qos.subscription(self, comms.RECORDER_STATUS, self._on_status)
        qos.steady_timer(self, _LINE_PERIOD, self._on_line)

    @property
    def finished(self) -> bool:
        """Whether the recording ended by itself."""
        return not self.progress.recording

    def wind_down(self) -> bool:
        """Ends at once: the recorder was started by hand, and the graph goes on without it."""
        return True

    def _on_status(self, message: RecorderStatus) -> None:
        # Our own status arrives too; of two recorders the older one continues.
        if message.recording and message.duration > self.progress.duration + _LINE_PERIOD:
            raise UserError(
                f'a recorder runs already in ROS domain {domain()}',
                found=message.session,
                do='Stop it with its service recorder/stop, or use its session.',
            )

    def _on_line(self) -> None:
        self._lines += 1
        if sys.stdout.isatty():
            print(f'\r\x1b[K{line(self.progress)}', end='', flush=True)
        elif self._lines % _QUIET_EVERY == 1:
            print(line(self.progress), flush=True)


def line(progress: RecordingProgress) -> str:
    """Returns the progress of a recording as text."""
    if not progress.session:
        return 'waiting for robot/info ...' + (f' ({progress.messages} messages wait)' if progress.messages else '')
    minutes, seconds = divmod(int(progress.duration), 60)
    return (
        f'{minutes}:{seconds:02d}  {progress.messages:,} messages  {progress.bytes / 1e6:,.1f} MB  '
        f'synced {progress.synced:,}  lost {progress.lost:,}  dropped {progress.dropped:,}'
    )


def record(parameters: Mapping[str, Any], namespace: str) -> int:
    """Records until a signal.

    Returns:
        exit status: 0 after an orderly end, 1 when the disk failed, 2 for a mistake of the user.
    """
    nodes: list[TerminalRecorder] = []

    def make() -> TerminalRecorder:
        nodes.append(TerminalRecorder())
        return nodes[0]

    arguments = ['--ros-args', *(['-r', f'__ns:=/{namespace.strip("/")}'] if namespace else [])]
    for name, value in parameters.items():
        arguments += ['-p', f'{name}:={parameter_text(value)}']
    status = run(make, arguments)
    if status or not nodes:
        return status
    progress = nodes[0].progress
    print(('\r\x1b[K' if sys.stdout.isatty() else '') + line(progress))
    if progress.fault:
        print(f'error: {progress.fault}', file=sys.stderr)
    print(progress.session or 'no message was received, nothing recorded')
    return 1 if progress.fault else 0
