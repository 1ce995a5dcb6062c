"""Declared settings: frozen dataclasses whose fields know their unit, limits and meaning. No ROS here.

A settings class lists its fields with `setting(...)` and may nest others with `group(...)`. Names of nested
fields are joined by dots (`sleep.rem_steps`), which is also how they stand in parameter files.
"""

from collections.abc import Iterator, Mapping
import dataclasses
import math
from pathlib import Path
from typing import Any, Self

import yaml

from .errors import UserError

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


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """Base of every settings class: validates itself, flattens to dotted names and back."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            factory = field.default_factory
            if isinstance(factory, type) and issubclass(factory, Settings):
                if not isinstance(value, factory):
                    raise UserError(f'settings {field.name!r}', expected=f'a {factory.__name__}', found=repr(value))
            else:
                object.__setattr__(self, field.name, check(field.name, value, field.default, field.metadata))

    @classmethod
    def leaves(cls, prefix: str = '') -> Iterator[tuple[str, dataclasses.Field[Any]]]:
        """Yields (dotted name, field) of every leaf."""
        for field in dataclasses.fields(cls):
            factory = field.default_factory
            if isinstance(factory, type) and issubclass(factory, Settings):
                yield from factory.leaves(f'{prefix}{field.name}.')
            else:
                yield f'{prefix}{field.name}', field

    @classmethod
    def from_flat(cls, values: Mapping[str, Any]) -> Self:
        """Builds from dotted names; missing ones take their default, unknown ones raise UserError."""
        known = dict(cls.leaves())
        unknown = sorted(set(values) - set(known))
        if unknown:
            raise UserError(
                f'unknown parameter {unknown[0]!r}', expected='one of ' + ', '.join(sorted(known)),
                do='Check the spelling in the parameter file or on the command line.',
            )  # fmt: skip
        return cls._build('', values)

    @classmethod
    def _build(cls, prefix: str, values: Mapping[str, Any]) -> Self:
        arguments: dict[str, Any] = {}
        for field in dataclasses.fields(cls):
            factory = field.default_factory
            if isinstance(factory, type) and issubclass(factory, Settings):
                arguments[field.name] = factory._build(f'{prefix}{field.name}.', values)
            elif f'{prefix}{field.name}' in values:
                name = f'{prefix}{field.name}'
                arguments[field.name] = check(name, values[name], field.default, field.metadata)
        return cls(**arguments)

    def to_flat(self, prefix: str = '') -> dict[str, Any]:
        """Returns every leaf by its dotted name, in the order of declaration."""
        flat: dict[str, Any] = {}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Settings):
                flat |= value.to_flat(f'{prefix}{field.name}.')
            else:
                flat[f'{prefix}{field.name}'] = value
        return flat


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
