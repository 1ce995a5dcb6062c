"""Where live images are shown: a window, or the terminal."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
import os
import shutil
import time
from typing import Protocol, TYPE_CHECKING

from cls_common.errors import UserError

from ..run_policy.terminal_image import escapes
from ..terminal import is_interactive, key_reader, Keys

if TYPE_CHECKING:
    import tkinter

    from cls_common.images import Image

_QUIT, _INSTEAD = 'q', 'Use --no-window.'
# Escape sequences of every terminal since xterm.
_HOME, _CLEAR_REST = '\x1b[H', '\x1b[K\x1b[J'
_OWN_SCREEN, _FORMER_SCREEN = '\x1b[?1049h\x1b[?25l', '\x1b[?25h\x1b[?1049l'


class Display(Protocol):
    """Shows images until a user closes it or presses q."""

    is_closed: bool

    def show(self, image: 'Image | None', text: str) -> None:
        """Shows uint8 (H, W, 3) RGB with a line of text; None: no image yet."""

    def wait(self, timeout: float) -> None:
        """Waits up to `timeout` s, less after a key."""


class _Terminal:
    def __init__(self, keys: Keys) -> None:
        self.is_closed = False
        self._keys = keys
        self._has_all_colours = os.environ.get('COLORTERM', '') in ('truecolor', '24bit')

    def show(self, image: 'Image | None', text: str) -> None:
        width, height = shutil.get_terminal_size()
        lines: list[str] = []
        if image is not None:
            # Two pixels a line; as wide as fits, at the image's shape.
            columns = min(width, 2 * (height - 2) * image.shape[1] // image.shape[0])
            lines = escapes(image, max(columns, 2), has_all_colours=self._has_all_colours)
        print(_HOME + '\r\n'.join([*lines, text[: width - 1]]) + _CLEAR_REST, end='', flush=True)

    def wait(self, timeout: float) -> None:
        # A closed terminal gives no more keys.
        self.is_closed = _QUIT in self._keys.read(timeout) or not self._keys.is_open


class _Window:
    def __init__(self, root: 'tkinter.Tk') -> None:
        import tkinter

        self.is_closed = False
        self._root = root
        self._picture = tkinter.PhotoImage()
        self._label = tkinter.Label(root, image=self._picture)
        self._label.pack()
        root.bind(_QUIT, lambda _event: self._close())
        root.protocol('WM_DELETE_WINDOW', self._close)

    def show(self, image: 'Image | None', text: str) -> None:
        self._root.title(text)
        if image is not None:
            height, width, _ = image.shape
            # A PPM, which Tk reads without another library.
            self._picture.configure(data=b'P6 %d %d 255\n' % (width, height) + image.tobytes(), format='PPM')

    def wait(self, timeout: float) -> None:
        self._root.after(int(1000 * timeout), lambda: self._root.setvar('due', '1'))
        self._root.wait_variable('due')

    def _close(self) -> None:
        self.is_closed = True


def has_screen() -> bool:
    """Whether windows can be opened: this shell names a screen, and Tk is installed."""
    return bool(os.environ.get('DISPLAY')) and find_spec('_tkinter') is not None


@contextmanager
def terminal() -> Iterator[Display]:
    """Yields a display on the terminal, which is restored in any case; raises UserError without one."""
    if not is_interactive():
        raise UserError('the live image', expected='a terminal, or a screen that DISPLAY names', found='neither')
    with key_reader() as keys:
        print(_OWN_SCREEN, end='')
        try:
            yield _Terminal(keys)
        finally:
            print(_FORMER_SCREEN, end='', flush=True)


@contextmanager
def window() -> Iterator[Display]:
    """Yields a window; raises UserError if it can't be opened."""
    try:
        import tkinter
    except ImportError as error:
        raise UserError('a window', expected='tkinter', found=str(error), do=_INSTEAD) from error
    try:
        root = tkinter.Tk()
    except tkinter.TclError as error:
        raise UserError('a window', expected='a screen', found=str(error), do=_INSTEAD) from error
    try:
        yield _Window(root)
    finally:
        root.destroy()


def run(
    display: Display,
    newest: 'Callable[[], Image | None]',
    name: str,
    period: float,
    is_interrupted: Callable[[], bool],
) -> int:
    """Shows the newest image every `period` s until the display is closed or the program interrupted.

    Returns:
        number of images shown.
    """
    shown, due = 0, time.monotonic()
    while not (display.is_closed or is_interrupted()):
        image = newest()
        shown += image is not None
        display.show(image, f'{name}   q: quit' if image is not None else f'{name}: no image yet   q: quit')
        due = max(due + period, time.monotonic())
        display.wait(max(0.0, due - time.monotonic()))
    return shown
