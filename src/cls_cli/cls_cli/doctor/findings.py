"""One thing found out about the machine."""

from dataclasses import dataclass
from enum import Enum


class Level(Enum):
    """OK: as it should be. NOTE: something optional is missing. WRONG: something needed is."""

    OK = 'ok'
    NOTE = 'note'
    WRONG = 'wrong'


@dataclass(frozen=True)
class Finding:
    """What was looked at, how it is, what was found, and what to do where it is not as it should be."""

    name: str
    level: Level
    found: str
    do: str = ''
