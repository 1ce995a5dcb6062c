"""Servo board without hardware: the board's own program behind a pseudo-terminal, with fault injection.

pyserial opens the terminal like a USB port. Used by tests, demonstrations and fault drills.
"""

from collections.abc import Callable, Iterable
import contextlib
from dataclasses import dataclass
import json
import os
from pathlib import Path
import selectors
import subprocess
import sys
import tempfile
import threading
import time
import tty

from . import fake_firmware
from .protocol import LAST_BANNER

_DEADLINE = 10.0
_POLL = 0.002


def firmware_path() -> Path:
    """Returns the path of the board's program: beside the sources, or installed."""
    for folder in Path(__file__).resolve().parents:
        for place in ('firmware/servo2040/main.py', 'share/cls_servo_driver/firmware/main.py'):
            if (folder / place).is_file():
                return folder / place
    raise FileNotFoundError('firmware/servo2040/main.py')


@dataclass(frozen=True)
class Outputs:
    """State of the servo outputs: degrees, None if off; `time` in s of the monotonic clock."""

    time: float
    pan: float | None
    tilt: float | None

    @property
    def are_off(self) -> bool:
        """Whether both outputs are off."""
        return self.pan is None and self.tilt is None


class FakeServoBoard:
    """A board that is plugged in within its context.

    Args:
        original: behaves like the original firmware: no timeout, and drops input that follows a reply closely.

    Attributes:
        port: path to open; the same after unplugging and plugging in.
        drops_replies: its replies are lost; it still receives requests.
        drops_requests: requests are lost.
        sends_garbage: each reply is replaced by noise.
        distort: converts each reply line to the pieces that arrive; it may wait between them.
        replies_left: number of further replies before `drops_replies`; None: unlimited.
        drain_time: s after each reply in which requests except moves are dropped, as by the original firmware.
        received: all request lines, including dropped ones.
    """

    def __init__(self, *, original: bool = False) -> None:
        self.drops_replies = False
        self.drops_requests = False
        self.sends_garbage = False
        self.distort: Callable[[bytes], Iterable[bytes]] = lambda line: [line]
        self.replies_left: int | None = None
        self.drain_time = 0.005 if original else 0.0
        self.received: list[str] = []
        self._original = original
        self._last_reply = 0.0
        self._folder = tempfile.TemporaryDirectory(prefix='cls-servo-')
        self._path = Path(self._folder.name)
        self.port = str(self._path / 'port')
        self._terminal: tuple[int, int] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._thread: threading.Thread | None = None
        self._is_ending = threading.Event()
        self._has_booted = threading.Event()

    def __enter__(self) -> 'FakeServoBoard':
        self.plug()
        return self

    def __exit__(self, *_: object) -> None:
        self.unplug()
        self._folder.cleanup()

    def plug(self) -> None:
        """Powers the board: its program starts, the port appears. Returns when it has booted."""
        master, slave = os.openpty()
        # Otherwise the terminal would echo the board's output back to it before the port is opened.
        tty.setraw(slave)
        self._terminal = master, slave
        self._boot(master)
        Path(self.port).symlink_to(os.ttyname(slave))

    def unplug(self) -> None:
        """Cuts power and cable: the port disappears, the outputs are off."""
        Path(self.port).unlink(missing_ok=True)
        self._cut_power()
        for end in self._terminal or ():
            os.close(end)
        self._terminal = None

    def reset(self) -> None:
        """Restarts the program with the port open, like a soft reset. Returns when it has booted."""
        if self._terminal is None:
            raise RuntimeError('an unplugged board cannot be reset')
        self._cut_power()
        self._boot(self._terminal[0])

    def _boot(self, master: int) -> None:
        # Isolated: it needs the standard library only, and starts ten times faster without the environment.
        command = [sys.executable, '-I', '-S', fake_firmware.__file__, str(firmware_path()), str(self._path)]
        self._process = subprocess.Popen(
            command + ['--original'] * self._original, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._is_ending.clear()
        self._has_booted.clear()
        self._thread = threading.Thread(target=self._pump, args=(master, self._process), daemon=True)
        self._thread.start()
        if not self._has_booted.wait(_DEADLINE):
            raise TimeoutError('the fake servo board did not boot')

    def _cut_power(self) -> None:
        self._is_ending.set()
        if self._thread is not None:
            self._thread.join(_DEADLINE)
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
        self._thread, self._process = None, None
        with (self._path / 'journal').open('a', encoding='utf-8') as journal:
            journal.write(json.dumps({'t': time.monotonic(), 'outputs': [None, None]}) + '\n')

    def press_button(self) -> None:
        """Presses the user button, which ends the program."""
        (self._path / 'button').touch()

    def break_servos(self) -> None:
        """Makes the servos refuse all further moves."""
        (self._path / 'broken').touch()

    @property
    def journal(self) -> list[Outputs]:
        """All states of the outputs, in order."""
        lines = (self._path / 'journal').read_text(encoding='utf-8').splitlines()
        entries = [json.loads(line) for line in lines]
        return [Outputs(entry['t'], *entry['outputs']) for entry in entries]

    @property
    def outputs(self) -> Outputs:
        """Current state of the outputs."""
        return self.journal[-1]

    def wait_for_outputs(self, pan: float | None, tilt: float | None, timeout: float = _DEADLINE) -> Outputs:
        """Waits until the outputs are at these angles, None for off; raises TimeoutError."""
        deadline = time.monotonic() + timeout
        while ((now := self.outputs).pan, now.tilt) != (pan, tilt):
            if time.monotonic() > deadline:
                raise TimeoutError(f'outputs at {(now.pan, now.tilt)}, wanted {(pan, tilt)}')
            time.sleep(_POLL)
        return now

    def _pump(self, master: int, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None and process.stdout is not None
        output = process.stdout.fileno()
        pending = b''
        with selectors.DefaultSelector() as selector:
            selector.register(master, selectors.EVENT_READ)
            selector.register(output, selectors.EVENT_READ)
            while not self._is_ending.is_set():
                for key, _ in selector.select(0.01):
                    data = os.read(key.fd, 4096)
                    if key.fd == master:
                        self._to_board(data, process.stdin.fileno())
                    elif data:
                        pending = self._to_host(pending + data, master)
                    else:
                        selector.unregister(output)

    def _to_board(self, data: bytes, stdin: int) -> None:
        self.received += data.decode('ascii', 'replace').splitlines()
        is_drained = time.monotonic() - self._last_reply < self.drain_time
        if not self.drops_requests and not (is_drained and not data.startswith(b'servos ')):
            # The program may have ended.
            with contextlib.suppress(BrokenPipeError):
                os.write(stdin, data)

    def _to_host(self, output: bytes, master: int) -> bytes:
        *lines, rest = output.split(b'\n')
        for line in lines:
            self._last_reply = time.monotonic()
            if self.replies_left is not None:
                self.replies_left -= 1
                self.drops_replies = self.drops_replies or self.replies_left < 0
            if not self.drops_replies:
                for piece in self.distort(b'\xfe#?1,x\n' if self.sends_garbage else line + b'\n'):
                    os.write(master, piece)
            if line.decode('ascii', 'replace').strip() == LAST_BANNER:
                self._has_booted.set()
        return rest
