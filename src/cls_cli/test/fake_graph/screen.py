"""What a program shows on a pseudo-terminal."""

import os
import threading

from watching import wait_until


class Screen:
    """Reads the terminal continuously: a program blocks when its output is not read."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor, self.text = descriptor, ''
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        try:
            while data := os.read(self._descriptor, 65536):
                self.text += data.decode(errors='replace')
        except OSError:
            return

    def press_for(self, key: bytes, text: str) -> int:
        """Presses a key until the text is shown: a new subscriber may miss the first press. Returns the presses."""
        for presses in range(1, 10):
            os.write(self._descriptor, key)
            try:
                wait_until(lambda: text in self.text, 40.0, f'{text!r} on the screen')
            except AssertionError:
                continue
            return presses
        raise AssertionError(f'{text!r} was never on the screen')

    def wait_for(self, text: str) -> None:
        wait_until(lambda: text in self.text, 20.0, f'{text!r} on the screen')
