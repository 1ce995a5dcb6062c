"""Lists serial ports, and reads the choice of one."""

from collections.abc import Sequence
from dataclasses import dataclass

from cls_common.errors import UserError


@dataclass(frozen=True)
class Port:
    """A serial port: its path and the description of the device behind it."""

    path: str
    description: str


def list_ports() -> list[Port]:
    """Returns the serial ports of this machine that have a device behind them, by path."""
    from serial.tools import list_ports as serial_ports

    found = [info for info in serial_ports.comports(include_links=False) if info.hwid != 'n/a']
    return sorted((Port(info.device, info.description) for info in found), key=lambda port: port.path)


def choose(answer: str, ports: Sequence[Port]) -> str:
    """Returns the path for an answer: a number from 1 in the list, or a path. The text is never evaluated as code.

    Raises:
        UserError: there is no such number, or the answer is empty.
    """
    text = answer.strip()
    if text.isdecimal():
        if not 1 <= int(text) <= len(ports):
            raise UserError(f'no port number {text}', expected=f'1 to {len(ports)}, or a path')
        return ports[int(text) - 1].path
    if not text:
        raise UserError('no port was chosen', expected='a number or a path', do='Or give --port.')
    return text
