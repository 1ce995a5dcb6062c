"""What single commands need beyond the base: installed when such a command is first called."""

import importlib
import os
from pathlib import Path
import subprocess
import sys

from cls_common.errors import UserError

# Layer -> what it brings, by the name of the import. The versions: requirements/LAYER.in.
LAYERS = {'export': ('av', 'pyarrow'), 'bench': ('matplotlib', 'scipy')}


def require(layer: str) -> None:
    """Makes the packages of a layer importable: installs them where ./cls made the environment.

    Raises:
        UserError: one can't be imported, and was not installed.
    """
    problem = _problem(layer)
    root = Path(os.environ.get('CLS_ROOT', ''))
    if problem and root.is_absolute():
        subprocess.run([root / 'cls', 'add', layer], check=False)
        importlib.invalidate_caches()
        problem = _problem(layer)
    if problem:
        raise UserError(
            f'this command needs {" and ".join(LAYERS[layer])}', found=problem,
            do=f'{sys.executable} -m pip install --no-deps --require-hashes -r {root / "requirements" / layer}.txt',
        )  # fmt: skip


def _problem(layer: str) -> str:
    """Returns why a package of the layer can't be imported; empty where all can."""
    try:
        for name in LAYERS[layer]:
            importlib.import_module(name)
    except ImportError as error:
        return str(error)
    return ''
