"""Health of a robot's parts under the same names for the hardware and its simulation."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

CAMERA: Final = 'camera: stream'
LINK: Final = 'robot: link'


def joint(name: str) -> str:
    """Returns the name under which a joint is reported."""
    return f'robot: joint {name}'


class Level(IntEnum):
    """Values equal the constants of diagnostic_msgs/DiagnosticStatus."""

    OK = 0
    WARN = 1
    ERROR = 2


@dataclass(frozen=True)
class Health:
    """One line of diagnostics: a level, one sentence that says what to do, figures as text."""

    name: str
    level: Level
    message: str
    values: Mapping[str, object] = field(default_factory=dict)


def in_namespace(namespace: str, name: str) -> str:
    """Returns `name` with the node's namespace in front: `/diagnostics` belongs to all robots of a ROS graph."""
    return f'{namespace.strip("/")}/{name}'.lstrip('/')
