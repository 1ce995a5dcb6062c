"""Serial ports of this machine, and which of them is the servo board's."""

from collections.abc import Sequence
from dataclasses import dataclass
import os

from serial.tools import list_ports

from cls_common.errors import UserError

# USB vendor id of Raspberry Pi: MicroPython on an RP2040 shows itself by it.
_VENDOR_RP2040 = 0x2E8A


@dataclass(frozen=True)
class Port:
    """A serial port.

    Attributes:
        device: path, such as '/dev/ttyACM0'.
        description: as the device names itself.
        serial_number: of the USB device; empty where there is none.
        is_likely: it is a board of the servo board's kind.
    """

    device: str
    description: str = ''
    serial_number: str = ''
    is_likely: bool = False

    def __str__(self) -> str:
        return f'{self.device} ({self.description})' if self.description else self.device


def find_ports() -> list[Port]:
    """Returns every serial port, by path."""
    return [
        Port(info.device, info.description or '', info.serial_number or '', info.vid == _VENDOR_RP2040)
        for info in sorted(list_ports.comports(), key=lambda info: str(info.device))
    ]


def choose_port(wanted: str, ports: Sequence[Port], known: Port | None = None) -> Port:
    """Returns the port of the board, also where the system gave it another name since.

    Args:
        wanted: a path; empty: the only likely port. A path that is not in `ports` is taken as it is: pseudo-terminals
            are in no list, and opening tells whether it is there. A link stands for the port that it leads to.
        known: where the board was found before; another board is not taken for it.

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
        port = next((port for port in ports if os.path.realpath(port.device) == path), Port(wanted))
        if known is not None and known.serial_number and port.serial_number not in ('', known.serial_number):
            raise UserError(
                f'serial port {wanted!r} is another device now', expected=f'serial number {known.serial_number}',
                found=port.serial_number, do='Plug the board in again; to use another one, restart the driver.',
            )  # fmt: skip
        return port
    likely = [port for port in ports if port.is_likely]
    if len(likely) == 1:
        return likely[0]
    raise UserError(
        'cannot choose a serial port', expected='exactly one RP2040 board',
        found='; '.join(map(str, likely or ports)) or 'no serial port at all',
        do='Plug the board in, or name its port with the parameter "port".',
    )  # fmt: skip
