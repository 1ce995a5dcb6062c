"""training.log: one row for each wake step, sleep and save (rows 000-073 to 000-075)."""

import csv
from datetime import datetime
import os
from pathlib import Path

COLUMNS = (
    'timestamp', 'event', 'step', 'cycle', 'fast_loss', 'slow_distill', 'slow_raw', 'curiosity_reward',
    'sws_L_dyn', 'rem_L_ms', 'tether_loss', 'replay_size',
)  # fmt: skip


class TrainingLog:
    """Appends rows; missing values stay empty."""

    def __init__(self, path: Path) -> None:
        is_new = not path.exists() or path.stat().st_size == 0
        self._file = open(path, 'a', newline='', encoding='utf-8')  # noqa: SIM115 - held open
        self._writer = csv.DictWriter(self._file, COLUMNS)
        if is_new:
            self._writer.writeheader()
        elif not _ends_whole(path):
            # Whoever was killed left half a row, to which the next one must not be joined.
            self._file.write('\r\n')

    def row(self, event: str, now: datetime, **values: float | int) -> None:
        """Appends one row; values by column name, NaN is left empty."""
        kept = {k: f'{v:.6g}' if isinstance(v, float) else v for k, v in values.items() if v == v}
        self._writer.writerow({'timestamp': now.strftime('%Y-%m-%d %H:%M:%S'), 'event': event, **kept})

    def flush(self) -> None:
        """Hands what was written to the system."""
        self._file.flush()

    def close(self) -> None:
        """Flushes and closes."""
        self._file.close()


def _ends_whole(path: Path) -> bool:
    with open(path, 'rb') as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b'\n'
