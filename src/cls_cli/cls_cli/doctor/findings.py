"""The result of one check."""

from dataclasses import dataclass
from enum import Enum


class Level(Enum):
    """OK: present. NOTE: something optional is missing. WRONG: something necessary is missing."""

    OK = 'ok'
    NOTE = 'note'
    WRONG = 'wrong'


@dataclass(frozen=True)
class Finding:
    """What was checked, its level, what was found, and what to do if it is not ok."""

    name: str
    level: Level
    found: str
    do: str = ''
