"""Location of installed parameter files."""

import os
from pathlib import Path

from .errors import UserError


def config_dir() -> Path:
    """Returns the installed `config/` folder.

    Raises:
        UserError: the workspace is not sourced.
    """
    for prefix in os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep):
        folder = Path(prefix, 'share', 'cls_learning', 'config')
        if folder.is_dir():
            return folder
    raise UserError(
        'the workspace is not entered',
        expected='share/cls_learning below a folder of AMENT_PREFIX_PATH',
        do='Run this through ./cls, or source install/setup.bash first.',
    )
