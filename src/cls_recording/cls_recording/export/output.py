"""Atomic output: a file or folder appears complete or not at all."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
import os
from pathlib import Path
import shutil

from cls_common import atomic_file
from cls_common.errors import UserError

# Called with the number done and the total.
ProgressCallback = Callable[[int, int], None]


def no_progress(done: int, total: int) -> None:
    """Ignores the progress."""


def check_absent(output: Path) -> None:
    """Raises UserError where the output exists: nothing is overwritten."""
    if os.path.lexists(output):
        raise UserError(f'{output} exists already', do='Choose another --output, or remove it first.')


@contextmanager
def partial(output: Path) -> Iterator[Path]:
    """Yields a hidden path beside `output` to write a file or folder at; renames it to `output` at the end.

    Raises:
        UserError: `output` exists, or can't be written.
    """
    check_absent(output)
    # With the process id: two exports at once each write their own, and the second rename is refused.
    path = output.with_name(f'.{output.name}.{os.getpid()}.partial')
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        yield path
        atomic_file.sync_tree(path)  # may take long: only then is the name looked at again
        check_absent(output)
        atomic_file.publish(path, output)
    except OSError as error:
        raise UserError(f'{output} could not be written', found=error.strerror or str(error)) from error
    finally:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
