"""Serial ports of this machine, and which of them is the servo board's (row 000-085)."""

from collections.abc import Sequence
from dataclasses import dataclass

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


def choose_port(wanted: str, ports: Sequence[Port]) -> Port:
    """Returns the wanted port, or the only likely one where none is named.

    Args:
        wanted: a path; empty: choose. A path that is not in `ports` is taken as it is: links and pseudo-terminals
            are in no list, and opening tells whether it is there.

    Raises:
        UserError: none is named and there is not exactly one likely port; lists all ports found.
    """
    if wanted:
        return next((port for port in ports if port.device == wanted), Port(wanted))
    likely = [port for port in ports if port.is_likely]
    if len(likely) == 1:
        return likely[0]
    raise UserError(
        'cannot choose a serial port', expected='exactly one RP2040 board',
        found='; '.join(map(str, likely or ports)) or 'no serial port at all',
        do='Plug the board in, or name its port with the parameter "port".',
    )  # fmt: skip
