"""Declared settings: frozen dataclasses whose fields know their unit, limits and meaning. No ROS here.

A settings class lists its fields with `setting(...)` and may nest others with `group(...)`. Names of nested
fields are joined by dots (`sleep.rem_steps`), which is also how they stand in parameter files.

Settings that a plug-in brings itself stand beside the setting that chooses the plug-in, under
the plug-in's name: with `plugin_group(WORLD_MODELS, 'world_model')` in the group `network`, a world model `low_rank`
whose module has `SETTINGS = LowRankSettings` gets `network.low_rank.rank`. Only chosen plug-ins have values: what else
is installed changes no settings, and is imported only to list or to explain names, if its source mentions SETTINGS.
"""

from collections.abc import Iterator, Mapping
import dataclasses
import math
from pathlib import Path
import re
from typing import Any, Self, TypeVar

import yaml

from .errors import UserError
from .registry import Registry, split

S = TypeVar('S', bound='Settings')
# What people call the types.
_KINDS = {bool: 'true or false', int: 'a whole number', float: 'a number', str: 'a text'}


def setting(
    default: Any, description: str, *, unit: str = '', low: float | None = None, high: float | None = None,
    choices: tuple[str, ...] = (), read_only: bool = True,
) -> Any:  # fmt: skip
    """Declares one field: default, what it means, unit, inclusive limits or allowed texts."""
    metadata = {
        'description': description, 'unit': unit, 'low': low, 'high': high, 'choices': tuple(choices),
        'read_only': read_only,
    }  # fmt: skip
    return dataclasses.field(default=default, metadata=metadata)


def group(settings_class: type['Settings']) -> Any:
    """Declares a nested settings class."""
    return dataclasses.field(default_factory=settings_class)


def plugin_group(registry: Registry, *chosen_by: str) -> Any:
    """Declares the place of the settings that plug-ins bring themselves; the field's type is PluginSettings.

    Args:
        registry: of the plug-ins.
        chosen_by: fields of the same class that name plug-ins: one name, or several with spaces or `*` between.
    """
    metadata = {'registry': registry, 'chosen_by': chosen_by}
    return dataclasses.field(default_factory=PluginSettings, metadata=metadata)


@dataclasses.dataclass(frozen=True)
class PluginSettings:
    """Settings of the chosen plug-ins, by plug-in name; only of those that declare some."""

    by_name: tuple[tuple[str, 'Settings'], ...] = ()

    def of(self, settings_class: type[S]) -> S:
        """Returns the settings of one class; raises LookupError if no chosen plug-in declares it."""
        for _, settings in self.by_name:
            if isinstance(settings, settings_class):
                return settings
        raise LookupError(f'{settings_class.__name__}: its plug-in is not chosen')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """Base of every settings class: validates itself, flattens to dotted names and back."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            factory = field.default_factory
            if factory is PluginSettings:
                object.__setattr__(self, field.name, self._of_chosen(field, value))
            elif isinstance(factory, type) and issubclass(factory, Settings):
                if not isinstance(value, factory):
                    raise UserError(f'settings {field.name!r}', expected=f'a {factory.__name__}', found=repr(value))
            else:
                object.__setattr__(self, field.name, check(field.name, value, field.default, field.metadata))

    def _of_chosen(self, field: dataclasses.Field[Any], given: PluginSettings) -> PluginSettings:
        """Returns the settings of the chosen plug-ins: the given ones, else their defaults."""
        registry, left = field.metadata['registry'], dict(given.by_name)
        found: dict[str, Settings] = {}
        for chosen in _chosen(field, vars(self)):
            registry.check(chosen)
            name = split(chosen)[0]
            settings_class = _declared(registry, name)
            if settings_class:
                found[name] = left.pop(name) if name in left else settings_class()
        for name, settings in left.items():
            if settings != type(settings)():
                raise UserError(
                    f'parameters of {registry.what} {name!r}',
                    found=f'another {registry.what}',
                    expected=f'{" or ".join(field.metadata["chosen_by"])} to name it',
                )
        return PluginSettings(tuple(found.items()))

    @classmethod
    def leaves(cls, prefix: str = '', *, with_plugins: bool = True) -> Iterator[tuple[str, dataclasses.Field[Any]]]:
        """Yields (dotted name, field) of every leaf.

        Args:
            with_plugins: imports the plug-ins that declare settings and yields their leaves too; one that can't be
                imported has none.
        """
        for field in dataclasses.fields(cls):
            factory = field.default_factory
            if factory is PluginSettings:
                for name, settings_class in _installed(cls, field) if with_plugins else ():
                    yield from settings_class.leaves(f'{prefix}{name}.', with_plugins=True)
            elif isinstance(factory, type) and issubclass(factory, Settings):
                yield from factory.leaves(f'{prefix}{field.name}.', with_plugins=with_plugins)
            else:
                yield f'{prefix}{field.name}', field

    @classmethod
    def from_flat(cls, values: Mapping[str, Any]) -> Self:
        """Builds from dotted names; missing ones take their default, unknown ones raise UserError."""
        unknown = set(values) - dict(cls.leaves(with_plugins=False)).keys()
        if unknown:
            known = dict(cls.leaves())
            unknown -= known.keys()
        if unknown:
            for name in sorted(unknown):
                cls.explain(name, values)
            raise UserError(
                f'unknown parameter {min(unknown)!r}',
                expected='one of ' + ', '.join(sorted(known)),
                do='Check the spelling in the parameter file or on the command line.',
            )
        return cls._build('', values)

    @classmethod
    def explain(cls, name: str, values: Mapping[str, Any], prefix: str = '') -> None:
        """Raises UserError if an unknown dotted name belongs to a plug-in that is missing or can't be imported.

        Args:
            values: by dotted name, beside it; they may choose the plug-in.
        """
        for field in dataclasses.fields(cls):
            factory = field.default_factory
            if factory is PluginSettings and name.startswith(prefix):
                registry, plugin = field.metadata['registry'], name.removeprefix(prefix).partition('.')[0]
                own = {each: values.get(f'{prefix}{each}', '') for each in field.metadata['chosen_by']}
                if plugin in registry.names() or plugin in {split(chosen)[0] for chosen in _chosen(field, own)}:
                    registry.load(plugin)
            elif isinstance(factory, type) and issubclass(factory, Settings):
                factory.explain(name, values, f'{prefix}{field.name}.')

    @classmethod
    def _build(cls, prefix: str, values: Mapping[str, Any]) -> Self:
        arguments: dict[str, Any] = {}
        for field in dataclasses.fields(cls):
            factory = field.default_factory
            if factory is PluginSettings:
                registry = field.metadata['registry']
                given = [name for name in registry.names() if any(v.startswith(f'{prefix}{name}.') for v in values)]
                declared = ((name, _declared(registry, name)) for name in given)
                arguments[field.name] = PluginSettings(
                    tuple((name, own._build(f'{prefix}{name}.', values)) for name, own in declared if own)
                )
            elif isinstance(factory, type) and issubclass(factory, Settings):
                arguments[field.name] = factory._build(f'{prefix}{field.name}.', values)
            elif f'{prefix}{field.name}' in values:
                name = f'{prefix}{field.name}'
                arguments[field.name] = check(name, values[name], field.default, field.metadata)
        return cls(**arguments)

    def to_flat(self, prefix: str = '') -> dict[str, Any]:
        """Returns every leaf by its dotted name, in the order of declaration; of plug-ins only those of chosen ones."""
        flat: dict[str, Any] = {}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, PluginSettings):
                for name, settings in value.by_name:
                    flat |= settings.to_flat(f'{prefix}{name}.')
            elif isinstance(value, Settings):
                flat |= value.to_flat(f'{prefix}{field.name}.')
            else:
                flat[f'{prefix}{field.name}'] = value
        return flat


def _chosen(field: dataclasses.Field[Any], values: Mapping[str, Any]) -> list[str]:
    """Returns the plug-ins that a class's own values name, in their order."""
    texts = (str(values[name]) for name in field.metadata['chosen_by'])
    return [name for text in texts for name in re.split(r'[\s*]+', text) if name]


def _declared(registry: Registry, name: str) -> type[Settings] | None:
    """Returns the settings class that a plug-in declares; imports only one that does."""
    if not registry.declares_settings(name):
        return None
    declared: type[Settings] | None = getattr(registry.load(name), 'SETTINGS', None)
    return declared


def _installed(owner: type[Settings], field: dataclasses.Field[Any]) -> Iterator[tuple[str, type[Settings]]]:
    """Yields the plug-ins of a field that declare settings; raises UserError if two things of one name do."""
    fields = {each.name for each in dataclasses.fields(owner)}
    others = [each.metadata['registry'] for each in dataclasses.fields(owner) if each.default_factory is PluginSettings]
    for name in field.metadata['registry'].names():
        try:
            settings_class = _declared(field.metadata['registry'], name)
        except UserError:
            continue  # the error appears when it is used
        if settings_class is None:
            continue
        if name in fields or sum(other.declares_settings(name) for other in others) > 1:
            raise UserError(
                f'settings of the {field.metadata["registry"].what} {name!r}', expected='a name of its own',
                found=f'{owner.__name__} has {name!r} already', do='Rename the plug-in.',
            )  # fmt: skip
        yield name, settings_class


def check(name: str, value: Any, default: Any, metadata: Mapping[str, Any]) -> Any:
    """Returns `value` as the type of `default`, or raises UserError naming field, value and allowed range."""
    kind = type(default)
    if kind is float and type(value) is int and abs(value) < 2**63:
        value = float(value)
    if type(value) is not kind:
        raise UserError(f'parameter {name!r}', expected=_KINDS.get(kind, kind.__name__), found=repr(value))
    low, high = metadata.get('low'), metadata.get('high')
    if kind in (int, float) and not (
        math.isfinite(value) and (low is None or value >= low) and (high is None or value <= high)
    ):
        allowed = f'{"any" if low is None else low} to {"any" if high is None else high}'
        raise UserError(
            f'parameter {name!r}', expected=f'{allowed} {metadata.get("unit", "")}'.strip(), found=repr(value)
        )
    choices = metadata.get('choices')
    if choices and value not in choices:
        raise UserError(f'parameter {name!r}', expected='one of ' + ', '.join(choices), found=repr(value))
    return value


def read_parameter_file(path: Path) -> dict[str, dict[str, Any]]:
    """Reads a ROS parameter file: node name (wildcards and slashes dropped) -> dotted name -> value."""
    try:
        content = yaml.safe_load(path.read_text(encoding='utf-8'))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f'parameter file {path}', expected='a readable YAML file', found=str(error)) from error
    if not isinstance(content, dict):
        raise UserError(f'parameter file {path}', expected='node names at the top', found=type(content).__name__)
    nodes: dict[str, dict[str, Any]] = {}
    for node, body in content.items():
        parameters = body.get('ros__parameters', 0) if isinstance(body, dict) else 0
        if not isinstance(parameters, dict | None):
            raise UserError(f'parameter file {path}', expected=f'ros__parameters below {node!r}', found=str(body)[:40])
        nodes.setdefault(str(node).strip('/').removeprefix('**/'), {}).update(_flat(parameters or {}))
    return nodes


def _flat(tree: Mapping[str, Any], prefix: str = '') -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat |= _flat(value, f'{prefix}{key}.') if isinstance(value, dict) else {f'{prefix}{key}': value}
    return flat
