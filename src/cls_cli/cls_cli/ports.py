"""Which serial ports there are, and which one the person means (row 000-085)."""

from collections.abc import Sequence
from dataclasses import dataclass

from cls_common.errors import UserError


@dataclass(frozen=True)
class Port:
    """A serial port: a path that stays the same between plugs where there is one, and what hangs on it."""

    path: str
    description: str


def list_ports() -> list[Port]:
    """Returns the serial ports of this machine that have a device behind them, by path."""
    from serial.tools import list_ports as serial_ports

    found = [info for info in serial_ports.comports(include_links=False) if info.hwid != 'n/a']
    return sorted((Port(info.device, info.description) for info in found), key=lambda port: port.path)


def choose(answer: str, ports: Sequence[Port]) -> str:
    """Returns the path that an answer means: a number from 1 in the list, or a path. Read as data only (H13).

    Raises:
        UserError: there is no such number, or nothing was answered.
    """
    text = answer.strip()
    if text.isdecimal():
        if not 1 <= int(text) <= len(ports):
            raise UserError(f'no port number {text}', expected=f'1 to {len(ports)}, or a path')
        return ports[int(text) - 1].path
    if not text:
        raise UserError('no port was chosen', expected='a number or a path', do='Or give --port.')
    return text
