"""Finds one of several implementations by name: a file of ours, or an entry point of an installed package."""

import importlib
from importlib import metadata
from pathlib import Path
from types import ModuleType

from cls_common.errors import UserError


def find(package: str, folder: Path, what: str, name: str, apart: tuple[str, ...] = ()) -> ModuleType:
    """Returns the module `name` of a package.

    A package above may add modules: as entry points of the group that is called as `package` is.

    Args:
        package, folder: dotted name of the package, and where its files lie.
        what: what an implementation is called in an error.
        apart: files that are none, besides `contract`.

    Raises:
        UserError: no such module; names those there are.
    """
    not_names = ('__init__', 'contract', *apart)
    names = {path.stem for path in (*folder.glob('*.py'), *(p.parent for p in folder.glob('*/__init__.py')))} - {
        *not_names
    }
    if name in names:
        return importlib.import_module(f'{package}.{name}')
    added = {point.name: point for point in metadata.entry_points(group=package)}
    if name not in added:
        raise UserError(f'unknown {what} {name!r}', expected='one of ' + ', '.join(sorted(names | set(added))))
    module: ModuleType = added[name].load()
    return module
