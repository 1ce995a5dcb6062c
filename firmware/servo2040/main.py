"""Program of the servo board: a Pimoroni Servo 2040 (RP2040) that turns a pan and a tilt servo. MicroPython.

It reads lines of ASCII from USB serial and answers each with one line. Angles in degrees, clamped to +-90.

    servo1 <deg>         S1:<deg>             pan, servo output 1
    servo2 <deg>         S2:<deg>             tilt, servo output 3
    both <deg>           Both:<deg>           the same angle to both
    servos <deg> <deg>   S1:<deg> S2:<deg>
    angles               <deg>,<deg>          last commanded, not measured; 0.0,0.0 after boot
    stop                 Stopped              switches the outputs off until the next move
    timeout <seconds>    Timeout:<seconds>    0.1 to 60; 1.0 after boot
    anything else        Unknown command

A move that the servos refuse answers `Error`; numbers that are none, too many or not finite answer
`Input error: <text>`.

A host may check both directions: a request `<command>#<tag>*<sum>` is carried out only if the sum is right, and its
reply is `<reply>#<tag>*<sum>` with the same tag. The sum is CRC-16 (polynomial 1021, start FFFF) of all before the
`*`, four hexadecimal digits. So half a line, a line with a debug print inside, and the reply to an earlier request
are not taken for a reply. Other requests are answered as ever; but from a checked request on until the host has been
silent for `timeout`, only `stop` is obeyed without a sum: a checked move that lost its end looks like another move.

When no valid line has come for `timeout` seconds, the outputs are switched off until the next move: a host
that dies leaves no torque behind. A host that wants to hold a position says `angles` now and then.

After each command the waiting input is drained: of the lines that came meanwhile only the newest counts, and
only if it is a `servos` command. A `stop` among them is always obeyed. The user button ends the program.

Install: copy this file to the board as main.py (`mpremote cp main.py :`).
"""

import math
import select
import sys
import time

from machine import Pin
from servo import servo2040, ServoCluster

try:
    from time import ticks_diff, ticks_ms
except ImportError:  # CPython, where the tests run this very file

    def ticks_ms():
        return int(time.monotonic() * 1000)

    def ticks_diff(end, start):
        return end - start


BANNER = ('Stable Servo Control Ready', 'S1: servo output 1, S2: servo output 3', 'Outputs off until the first move')
LIMIT_DEG = 90.0
TIMEOUT_S = 1.0
SHORTEST_TIMEOUT_S, LONGEST_TIMEOUT_S = 0.1, 60.0
IDLE_MS = 10
# Longer than any command; a line beyond it is noise.
LONGEST_LINE = 64
# Name of a command: how many numbers it takes, and the method of Servos that carries it out.
COMMANDS = {
    'servo1': (1, 'move_first'),
    'servo2': (1, 'move_second'),
    'both': (1, 'move_both'),
    'servos': (2, 'move'),
    'angles': (0, 'tell_angles'),
    'stop': (0, 'stop'),
    'timeout': (1, 'set_timeout'),
}


class Lines:
    """Puts lines together from a byte stream without ever waiting for the rest of one."""

    def __init__(self, stream):
        self._bytes = stream.buffer
        self._poll = select.poll()
        self._poll.register(stream, select.POLLIN)
        self._line = ''

    def next(self, wait_ms):
        """Returns the next whole line that is not empty, or None when none is there after `wait_ms`."""
        # Bounded: a stream without line ends must not keep button and timeout from being looked at.
        for _ in range(4 * LONGEST_LINE):
            if not self._poll.poll(wait_ms):
                return None
            byte = self._bytes.read(1)
            if not byte:
                raise EOFError
            if byte in b'\r\n':
                line, self._line = self._line.strip(), ''
                if line:
                    return line
            elif len(self._line) <= LONGEST_LINE:
                self._line += chr(byte[0])
        return None


class Servos:
    """Both servos, the angles they were last sent to, and when a valid line was last heard."""

    def __init__(self):
        self._cluster = ServoCluster(0, 0, [servo2040.SERVO_1, servo2040.SERVO_3])
        self._cluster.disable_all()
        self._angles = [0.0, 0.0]
        self._is_live = False
        self.is_checked = False
        self._timeout_s = TIMEOUT_S
        self._heard = ticks_ms()

    def answer(self, line):
        """Carries out one line and returns the line to answer with."""
        words = line.split()
        if len(line) > LONGEST_LINE or not words or words[0] not in COMMANDS:
            return 'Unknown command'
        count, method = COMMANDS[words[0]]
        try:
            numbers = read_numbers(words[1:], count)
            reply = getattr(self, method)(*numbers)
        except ValueError as error:
            return f'Input error: {error}'
        self._heard = ticks_ms()
        return reply

    def move_first(self, angle):
        return f'S1:{self._angles[0]}' if self._write(angle, None) else 'Error'

    def move_second(self, angle):
        return f'S2:{self._angles[1]}' if self._write(None, angle) else 'Error'

    def move_both(self, angle):
        return f'Both:{self._angles[0]}' if self._write(angle, angle) else 'Error'

    def move(self, first, second):
        return f'S1:{self._angles[0]} S2:{self._angles[1]}' if self._write(first, second) else 'Error'

    def tell_angles(self):
        return f'{self._angles[0]},{self._angles[1]}'

    def stop(self):
        self._cluster.disable_all()
        self._is_live = False
        return 'Stopped'

    def set_timeout(self, seconds):
        if not SHORTEST_TIMEOUT_S <= seconds <= LONGEST_TIMEOUT_S:
            raise ValueError(f'timeout must be {SHORTEST_TIMEOUT_S} to {LONGEST_TIMEOUT_S} seconds')
        self._timeout_s = seconds
        return f'Timeout:{seconds}'

    def check_timeout(self):
        """Switches the outputs off when nothing valid was heard for too long; a timeout of 0 never comes."""
        silence = ticks_diff(ticks_ms(), self._heard)
        if self._timeout_s and silence > 1000 * self._timeout_s:
            self.is_checked = False
            if self._is_live:
                self.stop()

    def _write(self, *angles):
        # Returns whether the servos took it; only then are the angles remembered.
        wanted = [old if new is None else clamp(new) for old, new in zip(self._angles, angles)]
        try:
            for index, angle in enumerate(angles):
                if angle is not None:
                    self._cluster.value(index, wanted[index], load=False)
            self._cluster.load()
        except Exception:
            return False
        self._angles = wanted
        self._is_live = True
        return True


def reply_to(servos, line):
    """Carries out one line and returns the reply, checked where the request is."""
    request, star, found = line.rpartition('*')
    if not star or len(line) > LONGEST_LINE:
        if servos.is_checked and line != 'stop':
            return 'Input error: checksum expected'
        return servos.answer(line)
    command, _, tag = request.rpartition('#')
    if found != checksum(request):
        return 'Input error: wrong checksum'
    servos.is_checked = True
    reply = f'{servos.answer(command)}#{tag}'
    return f'{reply}*{checksum(reply)}'


def checksum(text):
    """Returns CRC-16 (polynomial 1021, start FFFF) of the text as four hexadecimal digits."""
    total = 0xFFFF
    for character in text:
        total ^= ord(character) << 8
        for _ in range(8):
            total = (total << 1 ^ 0x1021 if total & 0x8000 else total << 1) & 0xFFFF
    return f'{total:04X}'


def read_numbers(words, count):
    """Returns `count` finite numbers or raises ValueError: clamping would turn a NaN into the upper limit."""
    if len(words) != count:
        raise ValueError(f'{count} numbers expected, {len(words)} found')
    numbers = [float(word) for word in words]
    for number in numbers:
        if not math.isfinite(number):
            raise ValueError('not a finite number')
    return numbers


def clamp(angle):
    return max(-LIMIT_DEG, min(LIMIT_DEG, angle))


def drain(lines):
    """Returns which of the waiting lines count: a `stop` among them, and the newest if it is a `servos` line."""
    counts = []
    newest = line = lines.next(0)
    while line is not None:
        if line == 'stop' or line.startswith('stop#'):
            counts = [line]
        newest = line
        line = lines.next(0)
    if newest is not None and newest.startswith('servos '):
        counts.append(newest)
    return counts


def main():
    servos = Servos()
    lines = Lines(sys.stdin)
    button = Pin(servo2040.USER_SW, Pin.IN, Pin.PULL_UP)
    for text in BANNER:
        print(text)
    try:
        while button.value():
            line = lines.next(IDLE_MS)
            if line is not None:
                reply = reply_to(servos, line)
                # Before the reply goes out: a host that waits for it has nothing under way, and loses nothing.
                newer = drain(lines)
                print(reply)
                for line in newer:
                    print(reply_to(servos, line))
            servos.check_timeout()
    except (EOFError, KeyboardInterrupt):
        pass
    finally:
        servos.stop()


if __name__ == '__main__':
    main()
