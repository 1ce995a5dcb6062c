"""A picture before and after each action, on request (rows 000-076 to 000-078, 000-083, H8)."""

import csv
from datetime import datetime
from pathlib import Path

from cls_common.images import Image, to_jpeg

JPEG_QUALITY = 85
COLUMNS = ('step', 'action_d1', 'action_d2', 'timestamp')


class FrameStore:
    """Writes `step_000000_before.jpg`, `step_000000_after.jpg` and `index.csv` into a folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        path = folder / 'index.csv'
        is_new = not path.exists()
        self._index = open(path, 'a', newline='', encoding='utf-8')  # noqa: SIM115 - held open
        self._writer = csv.writer(self._index)
        if is_new:
            self._writer.writerow(COLUMNS)

    def write(self, step: int, action: list[float], before: Image, after: Image, now: datetime) -> None:
        """Writes one step: uint8 (H, W, 3) RGB images, action in robot units (the first two numbers are listed)."""
        for name, image in (('before', before), ('after', after)):
            (self._folder / f'step_{step:06d}_{name}.jpg').write_bytes(to_jpeg(image, JPEG_QUALITY))
        numbers = [f'{value:.4f}' for value in (action + [0.0, 0.0])[:2]]
        self._writer.writerow([step, *numbers, now.strftime('%Y-%m-%d %H:%M:%S')])
        self._index.flush()

    def close(self) -> None:
        """Closes the index."""
        self._index.close()
