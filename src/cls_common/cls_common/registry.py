"""Implementations by name: modules of one of our packages, and entry points of installed packages.

A kind of implementation, such as world models, is one package of ours and the entry-point group of the same name. In
the `pyproject.toml` of a package that adds one:

    [project.entry-points.'cls_learning.world_models']
    low_rank = 'my_package.low_rank'

A name may carry an argument after a colon: `gym:CartPole-v1` is the implementation `gym` with the argument
`CartPole-v1`. A module that takes one says what it is in `ARGUMENT`, such as `ARGUMENT = 'ID'`; its `make` is given it
as the keyword `argument`. A module that brings settings of its own names their class in `SETTINGS`, in its
own source: see `settings.plugin_group`.
"""

from functools import lru_cache
import importlib
from importlib import metadata, util
from pathlib import Path
import pkgutil
import sys
from typing import Any

from .errors import UserError


def split(name: str) -> tuple[str, str]:
    """Splits a name at its first colon: the name to look up, and the argument, empty without one."""
    base, _, argument = name.partition(':')
    return base, argument


class Registry:
    """All implementations of one kind. Nothing of it is imported until it is found.

    Args:
        package: dotted name of our package, and of the entry-point group. Its modules and sub-packages are the
            implementations.
        what: singular noun for error messages, such as 'world model'.
        exclude: modules of the package that are no implementations, in addition to `contract` and those whose name
            begins with an underscore.
    """

    def __init__(self, package: str, what: str, exclude: tuple[str, ...] = ()) -> None:
        self.package = package
        self.what = what
        self._exclude = ('contract', *exclude)

    def names(self) -> list[str]:
        """Returns every name without argument, sorted; imports nothing but the package's parents."""
        return sorted({*self._own(), *self.installed()})

    def installed(self) -> list[str]:
        """Returns the names that installed packages add, sorted."""
        return sorted({point.name for point in self._points()})

    def check(self, name: str) -> None:
        """Raises UserError for an unknown name, with or without argument; imports nothing."""
        if split(name)[0] not in self.names():
            raise UserError(f'unknown {self.what} {name!r}', expected='one of ' + ', '.join(self.names()))

    def find(self, name: str) -> Any:
        """Returns the implementation's module, or the object that its entry point names.

        Raises:
            UserError: unknown name; a name defined twice; an installed package that can't be imported; an argument
                that is missing or not taken.
        """
        base, argument = split(name)
        self.check(name)
        found = self.load(base)
        expected = getattr(found, 'ARGUMENT', '')
        if expected and not argument:
            raise UserError(f'{self.what} {name!r}', expected=f'{base}:{expected}')
        if ':' in name and not expected:
            raise UserError(f'{self.what} {base!r} takes no argument', found=repr(name))
        return found

    def make(self, name: str, *arguments: Any, **keywords: Any) -> Any:
        """Calls the implementation's `make`, with the argument of its name where it takes one; errors as `find`."""
        found = self.find(name)
        if hasattr(found, 'ARGUMENT'):
            keywords['argument'] = split(name)[1]
        return found.make(*arguments, **keywords)

    def load(self, base: str) -> Any:
        """Returns what `find` returns, by a name without argument."""
        self.check(base)
        points = [point for point in self._points() if point.name == base]
        places = [f'package {_package(point)!r} ({point.value})' for point in points]
        if base in self._own():
            places.insert(0, f'{self.package}.{base}')
        if len(places) > 1:
            raise UserError(
                f'{self.what} {base!r} is defined {len(places)} times',
                found=' and '.join(places),
                do='Uninstall or rename one of them.',
            )
        if not points:
            return importlib.import_module(f'{self.package}.{base}')
        try:
            return points[0].load()
        except Exception as error:  # the code of another package may raise anything
            raise UserError(
                f'{self.what} {base!r} of {places[0]} can not be imported',
                found=f'{type(error).__name__}: {error}',
                do=f'Repair or uninstall package {_package(points[0])!r}.',
            ) from error

    def declares_settings(self, name: str) -> bool:
        """Whether the source of a name without argument mentions SETTINGS; does not import the implementation."""
        origins = [self._own()[name]] if name in self._own() else []
        origins += [_origin(point.module) for point in self._points() if point.name == name]
        return any(map(_mentions_settings, origins))

    def _own(self) -> dict[str, str]:
        """Returns our modules by name, with the paths of their sources."""
        spec = util.find_spec(self.package)
        folders = (spec.submodule_search_locations if spec else None) or []
        found: dict[str, str] = {}
        for module in pkgutil.iter_modules(folders):
            if not module.name.startswith('_') and module.name not in self._exclude:
                own = module.module_finder.find_spec(module.name, None)
                found[module.name] = (own and own.origin) or ''
        return found

    def _points(self) -> tuple[metadata.EntryPoint, ...]:
        return _entry_points(self.package, tuple(sys.path))


@lru_cache
def _entry_points(group: str, path: tuple[str, ...]) -> tuple[metadata.EntryPoint, ...]:
    # Reading the metadata of all installed packages takes tens of milliseconds. The path is the key of the cache.
    return tuple(metadata.entry_points(group=group))


def _origin(module: str) -> str:
    """Returns the path of a module's source; imports its parents only. Empty where it can't be found."""
    try:
        spec = util.find_spec(module)
    except Exception:  # code of another package; the error appears when the module is used
        return ''
    return (spec and spec.origin) or ''


@lru_cache
def _mentions_settings(path: str) -> bool:
    try:
        return 'SETTINGS' in Path(path).read_text(encoding='utf-8', errors='replace')
    except OSError:
        return False


def _package(point: metadata.EntryPoint) -> str:
    return point.dist.name if point.dist else 'unknown'
