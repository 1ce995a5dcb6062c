"""Stamps (builtin_interfaces/Time) and whole nanoseconds since the epoch of their clock. No ROS here."""

from typing import Protocol

NS = 1_000_000_000  # nanoseconds of a second


class Stamp(Protocol):
    """A builtin_interfaces/Time: a message of rclpy or one read from a bag."""

    sec: int
    nanosec: int


def to_nanoseconds(stamp: Stamp) -> int:
    """Returns a stamp in ns."""
    return join(stamp.sec, stamp.nanosec)


def join(seconds: int, nanoseconds: int) -> int:
    """Returns ns from the two fields of a stamp; numpy integers are taken too."""
    return int(seconds) * NS + int(nanoseconds)


def split(nanoseconds: int) -> tuple[int, int]:
    """Returns the fields `sec` and `nanosec` of a stamp, 0 <= nanosec < 10**9, also before the epoch."""
    return divmod(nanoseconds, NS)
