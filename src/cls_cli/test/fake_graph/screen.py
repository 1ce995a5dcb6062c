"""What a program shows on a pseudo-terminal."""

import os
import threading

from .watching import wait_until


class Screen:
    """Reads what a terminal is shown, all the time: a program stops when nobody reads."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor, self.text = descriptor, ''
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        try:
            while data := os.read(self._descriptor, 65536):
                self.text += data.decode(errors='replace')
        except OSError:
            return

    def wait_for(self, text: str) -> None:
        wait_until(lambda: text in self.text, 20.0, f'{text!r} on the screen')
