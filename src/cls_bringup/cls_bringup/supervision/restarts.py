"""Restart policy: which ended process is restarted, when, and when to give up. Times are arguments, s."""

from dataclasses import dataclass, field

USER_ERROR = 2
_FIRST_DELAY, _LONGEST_DELAY = 1.0, 30.0
# s after which a running process is healthy: its next crash counts as the first.
_HEALTHY_AFTER = 30.0
MOST_CRASHES = 5


@dataclass(frozen=True)
class Ended:
    """Reason to end everything: a process and its exit status (-1: by a signal)."""

    name: str
    status: int
    crashes: int = 0

    @property
    def is_user_error(self) -> bool:
        """Whether the process ended with a UserError."""
        return self.status == USER_ERROR

    def __str__(self) -> str:
        if self.crashes:
            return f'{self.name} crashed {self.crashes} times in a row, last with exit status {self.status}'
        return f'{self.name} ended by itself with exit status {self.status}'


@dataclass
class _Record:
    started: float
    crashes: int = 0
    due: float | None = None


@dataclass
class RestartPolicy:
    """Restarts a crashed process after 1 s, then 2, 4 and so on; the fifth crash in a row ends everything.

    Exit status 0 or 2 ends everything at once: the node is finished, or has a UserError.
    """

    records: dict[str, _Record] = field(default_factory=dict)
    restarts: dict[str, int] = field(default_factory=dict)

    def saw_running(self, name: str, started: float) -> None:
        """Records that a process runs since `started`."""
        record = self.records.setdefault(name, _Record(started))
        record.started, record.due = started, None

    def saw_end(self, name: str, status: int, now: float) -> Ended | None:
        """Records an exit; returns a reason to end everything, or None if the process may be restarted."""
        record = self.records.setdefault(name, _Record(now))
        if record.due is not None:
            return None
        if status in (0, USER_ERROR):
            return Ended(name, status)
        record.crashes = 1 if now - record.started >= _HEALTHY_AFTER else record.crashes + 1
        if record.crashes >= MOST_CRASHES:
            return Ended(name, status, record.crashes)
        record.due = now + min(_FIRST_DELAY * 2 ** (record.crashes - 1), _LONGEST_DELAY)
        return None

    def delay(self, name: str, now: float) -> float:
        """Returns the seconds until an ended process is restarted."""
        due = self.records[name].due
        return 0.0 if due is None else max(due - now, 0.0)

    def due(self, now: float) -> list[str]:
        """Returns the processes to start now, and counts each."""
        names = [name for name, record in self.records.items() if record.due is not None and record.due <= now]
        for name in names:
            self.records[name] = _Record(now, self.records[name].crashes)
            self.restarts[name] = self.restarts.get(name, 0) + 1
        return names
