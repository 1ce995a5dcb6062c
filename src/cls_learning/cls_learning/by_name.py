"""Finds one of several implementations by the name of its file: adding one is adding a file."""

import importlib
from pathlib import Path
from types import ModuleType

from cls_common.errors import UserError


def find(package: str, folder: Path, what: str, name: str, apart: tuple[str, ...] = ()) -> ModuleType:
    """Returns the module `name` of a package.

    Args:
        package, folder: dotted name of the package, and where its files lie.
        what: what an implementation is called in an error.
        apart: files that are none, besides `contract`.

    Raises:
        UserError: no such file; names those there are.
    """
    not_names = ('__init__', 'contract', *apart)
    names = sorted(path.stem for path in folder.glob('*.py') if path.stem not in not_names)
    if name not in names:
        raise UserError(f'unknown {what} {name!r}', expected='one of ' + ', '.join(names))
    return importlib.import_module(f'{package}.{name}')
