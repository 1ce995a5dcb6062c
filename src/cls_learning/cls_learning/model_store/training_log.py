"""training.log: one row for each wake step, sleep, sleep rolled back and save."""

from collections.abc import Sequence
import csv
from datetime import datetime
import os
from pathlib import Path

COLUMNS = ('timestamp', 'event', 'step', 'cycle')


class TrainingLog:
    """Appends rows; missing values are empty. An existing file keeps its columns."""

    def __init__(self, path: Path, brain_columns: Sequence[str] = ()) -> None:
        columns = _columns_of(path)
        is_new = not columns
        self._file = open(path, 'w' if is_new else 'a', newline='', encoding='utf-8')  # noqa: SIM115 - held open
        self._writer = csv.DictWriter(self._file, columns or (*COLUMNS, *brain_columns), extrasaction='ignore')
        if is_new:
            self._writer.writeheader()
        elif not _ends_whole(path):
            # A killed process left an incomplete row, to which the next row must not be joined.
            self._file.write('\r\n')

    def row(self, event: str, now: datetime, **values: float | int | str) -> None:
        """Appends one row; values by column name, NaN becomes empty."""
        kept = {k: f'{v:.6g}' if isinstance(v, float) else v for k, v in values.items() if v == v}
        self._writer.writerow({'timestamp': now.strftime('%Y-%m-%d %H:%M:%S'), 'event': event, **kept})

    def flush(self) -> None:
        """Flushes the rows to the operating system."""
        self._file.flush()

    def close(self) -> None:
        """Flushes and closes."""
        self._file.close()


def read_rows(path: Path) -> list[dict[str, str]]:
    """Returns the whole rows of a file by column, missing values empty; none where it does not exist."""
    if not path.exists():
        return []
    with open(path, newline='', encoding='utf-8') as file:
        return [row for row in csv.DictReader(file) if None not in row.values() and row['event']]


def _columns_of(path: Path) -> list[str]:
    """Returns the columns of a file; empty without a complete header."""
    if not path.exists():
        return []
    with open(path, newline='', encoding='utf-8') as file:
        header = file.readline()
    return next(csv.reader([header])) if header.endswith('\n') else []


def _ends_whole(path: Path) -> bool:
    with open(path, 'rb') as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b'\n'
