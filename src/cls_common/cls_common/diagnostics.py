"""Health of a robot's parts, with the same names for hardware and simulation."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

CAMERA: Final = 'camera: stream'
LINK: Final = 'robot: link'


def joint(name: str) -> str:
    """Returns the diagnostics name of a joint."""
    return f'robot: joint {name}'


class Level(IntEnum):
    """Values equal the constants of diagnostic_msgs/DiagnosticStatus."""

    OK = 0
    WARN = 1
    ERROR = 2


@dataclass(frozen=True)
class Health:
    """One diagnostics status: a level, one sentence with what to do, and values by name."""

    name: str
    level: Level
    message: str
    values: Mapping[str, object] = field(default_factory=dict)


def in_namespace(namespace: str, name: str) -> str:
    """Returns `name` prefixed by the namespace, since all robots of a ROS graph share `/diagnostics`."""
    return f'{namespace.strip("/")}/{name}'.lstrip('/')
