"""Finds the serial port of the servo board."""

from collections.abc import Sequence
from dataclasses import dataclass
import os

from serial.tools import list_ports

from cls_common.errors import UserError

# USB vendor id of Raspberry Pi, used by MicroPython on an RP2040.
_VENDOR_RP2040 = 0x2E8A


@dataclass(frozen=True)
class SerialPort:
    """A serial port.

    Attributes:
        device: path, such as '/dev/ttyACM0'.
        description: from the device.
        serial_number: of the USB device; empty where there is none.
        is_likely: has the vendor id of the servo board.
    """

    device: str
    description: str = ''
    serial_number: str = ''
    is_likely: bool = False

    def __str__(self) -> str:
        return f'{self.device} ({self.description})' if self.description else self.device


def find_ports() -> list[SerialPort]:
    """Returns the serial ports of this machine that have a device behind them, by path."""
    found = [info for info in list_ports.comports() if info.hwid != 'n/a']
    return [
        SerialPort(info.device, info.description or '', info.serial_number or '', info.vid == _VENDOR_RP2040)
        for info in sorted(found, key=lambda info: str(info.device))
    ]


def read_answer(answer: str, ports: Sequence[SerialPort]) -> str:
    """Returns the path for an answer: a number from 1 in the list, or a path. The text is never evaluated as code.

    Raises:
        UserError: there is no such number, or the answer is empty.
    """
    text = answer.strip()
    if text.isdecimal():
        if not 1 <= int(text) <= len(ports):
            raise UserError(f'no port number {text}', expected=f'1 to {len(ports)}, or a path')
        return ports[int(text) - 1].device
    if not text:
        raise UserError('no port was chosen', expected='a number or a path', do='Or give --port.')
    return text


def choose_port(wanted: str, ports: Sequence[SerialPort], known: SerialPort | None = None) -> SerialPort:
    """Returns the port of the board, also if its name has changed.

    Args:
        wanted: a path; empty: the only likely port. A path that is not in `ports` is used unchanged: pseudo-terminals
            are not listed, and a missing port is found by opening it. Symbolic links are resolved.
        known: port at which the board was found before; another board is refused.

    Raises:
        UserError: none is named and there is not exactly one likely port, listing all ports found; or the named port
            belongs to another board now.
    """
    if known is not None and known.serial_number:
        for port in ports:
            if port.serial_number == known.serial_number:
                return port
    if wanted:
        path = os.path.realpath(wanted)
        port = next((port for port in ports if os.path.realpath(port.device) == path), SerialPort(wanted))
        if known is not None and known.serial_number and port.serial_number not in ('', known.serial_number):
            raise UserError(
                f'serial port {wanted!r} is another device now',
                expected=f'serial number {known.serial_number}',
                found=port.serial_number,
                do='Plug the board in again; to use another one, restart the driver.',
            )
        return port
    likely = [port for port in ports if port.is_likely]
    if len(likely) == 1:
        return likely[0]
    raise UserError(
        'cannot choose a serial port',
        expected='exactly one RP2040 board',
        found='; '.join(map(str, likely or ports)) or 'no serial port at all',
        do='Plug the board in, or name its port with the parameter "port".',
    )
