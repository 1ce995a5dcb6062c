"""Reads single fields of serialized messages (CDR) without decoding the rest. No ROS here."""

from dataclasses import dataclass
import struct

from cls_common.stamps import join

_SIZES = {'b': 1, 'B': 1, 'H': 2, 'h': 2, 'I': 4, 'i': 4, 'f': 4, 'Q': 8, 'q': 8, 'd': 8}
_ENCAPSULATION = 4


class CdrReader:
    """Reads the fields of one message in order.

    Raises:
        struct.error, IndexError, UnicodeDecodeError: the message is truncated or of another type.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._order = '<' if data[1] & 1 else '>'
        self._at = _ENCAPSULATION

    def number(self, code: str) -> float | int:
        """Returns the next number, by its code in `struct`."""
        self._align(_SIZES[code])
        (value,) = struct.unpack_from(self._order + code, self._data, self._at)
        self._at += _SIZES[code]
        return value  # type: ignore[no-any-return]

    def whole(self, code: str) -> int:
        """Returns the next integer."""
        return int(self.number(code))

    def text(self) -> str:
        """Returns the next string."""
        length = self.whole('I')
        text = self._data[self._at : self._at + length - 1].decode()
        self._at += length
        return text

    def content(self) -> bytes:
        """Returns the next sequence of bytes."""
        length = self.whole('I')
        content = self._data[self._at : self._at + length]
        if len(content) < length:
            raise IndexError(f'{len(content)} of {length} bytes')
        self._at += length
        return content

    def skip_numbers(self, code: str) -> None:
        """Skips a sequence of numbers."""
        count = self.whole('I')
        if count:
            self._align(_SIZES[code])
            self._at += count * _SIZES[code]

    def time(self) -> int:
        """Returns the next stamp, ns."""
        return join(self.whole('i'), self.whole('I'))

    def _align(self, size: int) -> None:
        self._at += -(self._at - _ENCAPSULATION) % size


@dataclass(frozen=True)
class SequenceNumber:
    """Sequence number of a message within the sequence `key`; `error_code` of an applied action, else 0."""

    key: str
    sequence: int
    error_code: int = 0


def stamp(data: bytes) -> int:
    """Returns the stamp of a message that begins with a header, ns."""
    return CdrReader(data).time()


def read_sequence_number(type_name: str, data: bytes) -> SequenceNumber | None:
    """Returns the sequence number of a message; None for types without one."""
    cursor = CdrReader(data)
    if type_name == 'cls_interfaces/msg/AppliedAction':
        key, sequence = cursor.text(), cursor.whole('Q')
        for code in 'ffdd':
            cursor.skip_numbers(code)
        cursor.time(), cursor.time()
        return SequenceNumber(key, sequence, cursor.whole('H'))
    if type_name in ('cls_interfaces/msg/Experience', 'cls_interfaces/msg/RobotAction'):
        cursor.time(), cursor.text()
        return SequenceNumber(cursor.text(), cursor.whole('Q'))
    return None


@dataclass(frozen=True)
class ImageHeader:
    """A sensor_msgs/Image without its pixels: stamp in ns, size in pixels, bytes a row (`step`) and in all (`size`)."""

    stamp: int
    height: int
    width: int
    encoding: str
    step: int
    size: int


def read_image_header(data: bytes) -> ImageHeader:
    """Reads a sensor_msgs/Image."""
    cursor = CdrReader(data)
    stamp, _ = cursor.time(), cursor.text()
    height, width, encoding = cursor.whole('I'), cursor.whole('I'), cursor.text()
    cursor.whole('B')
    return ImageHeader(stamp, height, width, encoding, cursor.whole('I'), len(cursor.content()))


def read_compressed_image(data: bytes) -> bytes:
    """Returns the JPEG or PNG in a sensor_msgs/CompressedImage."""
    cursor = CdrReader(data)
    cursor.time(), cursor.text(), cursor.text()
    return cursor.content()
