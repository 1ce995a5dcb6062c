"""The result of one check."""

from dataclasses import dataclass
from enum import Enum


class Severity(Enum):
    """OK: present. NOTE: something optional is missing. WRONG: something necessary is missing."""

    OK = 'ok'
    NOTE = 'note'
    WRONG = 'wrong'


@dataclass(frozen=True)
class Finding:
    """What was checked, its severity, what was found, and what to do if it is not ok."""

    name: str
    severity: Severity
    found: str
    do: str = ''
