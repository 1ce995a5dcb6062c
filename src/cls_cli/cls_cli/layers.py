"""Packages that only some commands need; they are installed when such a command is first called."""

import importlib
import os
from pathlib import Path
import subprocess
import sys

from cls_common.errors import UserError

# Layer -> the modules that it brings. The versions stand in requirements/LAYER.in.
LAYERS = {'export': ('av', 'pyarrow', 'nir', 'tensorboard'), 'bench': ('matplotlib', 'scipy', 'sklearn')}
ALL = (*LAYERS, 'dev')


def require(layer: str) -> None:
    """Makes the packages of a layer importable: installs them if ./cls made the environment.

    Raises:
        UserError: one of them can not be imported after that.
    """
    problem = _problem(layer)
    root = Path(os.environ.get('CLS_ROOT', ''))
    if problem and root.is_absolute():
        subprocess.run([root / 'cls', 'add', layer], check=False)
        importlib.invalidate_caches()
        problem = _problem(layer)
    if problem:
        raise UserError(
            f'this command needs {" and ".join(LAYERS[layer])}',
            found=problem,
            do=f'{sys.executable} -m pip install --no-deps --require-hashes -r {root / "requirements" / layer}.txt',
        )


def _problem(layer: str) -> str:
    """Returns why a package of the layer can not be imported; empty if all can."""
    try:
        for name in LAYERS[layer]:
            importlib.import_module(name)
    except ImportError as error:
        return str(error)
    return ''
