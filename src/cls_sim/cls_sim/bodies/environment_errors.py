"""Converts errors in the code of an environment to one line that names the environment."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
import traceback
from typing import Any

import numpy as np

from cls_common.errors import UserError

_MAX_LENGTH = 300  # maximum length of a quoted message
_OWN_CODE = str(Path(__file__).resolve().parents[1])


@contextmanager
def environment_code(robot: str, doing: str, home: str = '') -> Iterator[None]:
    """Converts every exception of the code inside to a UserError with its file and line; SystemExit included.

    Args:
        robot: name of the robot. doing: the call of its environment, such as 'step()'.
        home: source file of the environment; its line is named if the error passed through it.
    """
    try:
        yield
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        text = ' '.join(str(error).split())[:_MAX_LENGTH]
        where = _where(error, home)
        raise UserError(
            f'robot {robot!r}: {doing} of its environment failed',
            found=f'{type(error).__name__}{": " + text if text else ""}{where}',
        ) from error


def _where(error: BaseException, home: str) -> str:
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith((_OWN_CODE, '<'))]
    own = [f for f in frames if f.filename == home] or [f for f in frames if not f.filename.endswith('contextlib.py')]
    return f' ({own[-1].filename}:{own[-1].lineno})' if own else ''


def describe(value: Any) -> str:
    """Returns a short description of a value: type, shape and range."""
    if isinstance(value, tuple | list):
        return f'a {type(value).__name__} of {len(value)}'
    if isinstance(value, dict):
        return f'a dict of {", ".join(map(str, value))}'[:_MAX_LENGTH]
    if value is None or isinstance(value, str | int | float):
        return repr(value)[:_MAX_LENGTH]
    try:
        array = np.asarray(value)
        reach = f' from {array.min():g} to {array.max():g}' if array.size and array.dtype.kind in 'uifb' else ''
    except (TypeError, ValueError):
        return f'a {type(value).__name__}'
    return f'{array.dtype} {array.shape}{reach}'
