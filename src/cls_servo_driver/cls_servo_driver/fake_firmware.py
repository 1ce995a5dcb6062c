"""Runs the servo board's own program under CPython in a separate process; imports the standard library only.

Only the board's modules `servo` and `machine` are replaced. Each change of an output is written to the journal
as one JSON line: {"t": s of the monotonic clock, "outputs": [pan, tilt]}, degrees, null where an output is off.
Used by `fake_servo_board.py`, which connects its streams to a pseudo-terminal.
"""

import argparse
from collections.abc import Sequence
import importlib.util
import io
import json
import os
from pathlib import Path
import sys
import time
from types import ModuleType
from typing import Any


class FakeCluster:
    """The part of servo.ServoCluster that the program uses."""

    def __init__(self, journal: io.TextIOBase, broken: Path) -> None:
        self._journal = journal
        self._broken = broken
        self._staged: list[float | None] = [None, None]
        self._outputs: list[float | None] = [None, None]

    def value(self, index: int, angle: float, load: bool = True) -> None:
        """Stages an angle, degrees; enables the output, as on the board."""
        if self._broken.exists():
            raise RuntimeError('servo refused')
        self._staged[index] = angle
        if load:
            self.load()

    def disable_all(self) -> None:
        """Switches both outputs off."""
        self._staged = [None, None]
        self.load()

    def load(self) -> None:
        """Applies the staged angles to the outputs."""
        self._outputs = list(self._staged)
        self._journal.write(json.dumps({'t': time.monotonic(), 'outputs': self._outputs}) + '\n')
        self._journal.flush()


def load_program(path: Path, journal: io.TextIOBase, folder: Path, original: bool) -> Any:
    """Imports the program with stand-ins for the board's modules.

    Args:
        folder: a file `button` in it presses the user button, `broken` makes the servos refuse.
        original: without timeout and checked lines, like the original firmware.
    """
    servo: Any = ModuleType('servo')
    servo.servo2040 = type('servo2040', (), {'SERVO_1': 0, 'SERVO_3': 2, 'USER_SW': 23})
    servo.ServoCluster = lambda pio, sm, pins: _make_cluster(pins, journal, folder)
    machine: Any = ModuleType('machine')
    machine.Pin = type(
        'Pin',
        (),
        {
            'IN': 0,
            'PULL_UP': 1,
            '__init__': lambda self, *_: None,
            'value': lambda self: 0 if (folder / 'button').exists() else 1,
        },
    )
    sys.modules.update(servo=servo, machine=machine)
    spec = importlib.util.spec_from_file_location('servo2040_main', path)
    assert spec is not None and spec.loader is not None
    program: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)
    if original:
        del program.COMMANDS['timeout']
        program.TIMEOUT_S = 0
        program.reply_to = lambda servos, line: servos.answer(line)
    return program


def _make_cluster(pins: Sequence[int], journal: io.TextIOBase, folder: Path) -> FakeCluster:
    if list(pins) != [0, 2]:
        raise ValueError(f'servos belong on outputs 1 and 3, found pins {list(pins)}')
    return FakeCluster(journal, folder / 'broken')


def main() -> None:
    """Runs the program until its input ends or the button is pressed."""
    parser = argparse.ArgumentParser()
    parser.add_argument('program', type=Path)
    parser.add_argument('folder', type=Path)
    parser.add_argument('--original', action='store_true')
    arguments = parser.parse_args()
    # Unbuffered, as on the board: a byte that poll() reports must not wait in a buffer.
    raw = os.fdopen(os.dup(0), 'rb', buffering=0)
    sys.stdin = io.TextIOWrapper(raw, encoding='latin-1')
    sys.stdout = io.TextIOWrapper(os.fdopen(os.dup(1), 'wb', buffering=0), encoding='ascii', write_through=True)
    with (arguments.folder / 'journal').open('a', encoding='utf-8') as journal:
        load_program(arguments.program, journal, arguments.folder, arguments.original).main()


if __name__ == '__main__':
    main()
