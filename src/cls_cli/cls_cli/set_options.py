"""`--set NAME=VALUE`: checked against the declared settings, before anything is started."""

from collections.abc import Callable, Iterable
import importlib
import json
from pathlib import Path
from typing import Any

import click

from cls_common.errors import UserError
from cls_common.overrides import NODES, parse_override
from cls_common.settings import check, Settings

# First part of a name -> where its settings are declared; then those that have an option of their own.
_DECLARED = {'sim': 'cls_sim.settings:SimulatorSettings'}
_RECIPE = 'cls_learning.config:LearningSettings'
_OWN_OPTIONS = {'sim.robot': '--robot', 'sim.scene': '--scene', 'sim.seed': '--seed', 'sim.lock_step': '--lock-step'}
_PATHS = ('sim.panorama',)


def option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Declares `--set`; the command receives `settings`, a tuple of checked texts."""
    return click.option(
        '--set',
        'settings',
        multiple=True,
        metavar='NAME=VALUE',
        callback=lambda _c, _p, texts: checked(texts),
        show_default='none',
        help='Set a learning parameter of a new model, such as fast.ring=400, or of the simulation, such as '
        'sim.noise_sigma=5. This option may be repeated.',
    )(function)


def checked(texts: Iterable[str]) -> tuple[str, ...]:
    """Returns the checked texts: values have the type of their setting, paths are absolute.

    Raises:
        UserError: an unknown setting, with the known ones; a value of the wrong type or out of range.
    """
    return tuple(f'{name}={json.dumps(value)}' for name, value in map(_checked, texts))


def _checked(text: str) -> tuple[str, Any]:
    name, value = parse_override(text)
    if name in _OWN_OPTIONS:
        raise UserError(f'--set {text}', expected=f'{_OWN_OPTIONS[name]} in its place')
    room = name.partition('.')[0]
    prefix = f'{room}.' if room in NODES else ''
    leaves = dict(_settings(_DECLARED[room] if prefix else _RECIPE).leaves(prefix))
    known = [leaf for leaf in leaves if leaf not in _OWN_OPTIONS]
    if name not in known:
        others = '' if prefix else ', or ' + ', '.join(f'{other}.NAME' for other in NODES)
        raise UserError(f'unknown setting {name!r}', expected='one of ' + ', '.join(known) + others)
    field = leaves[name]
    if isinstance(field.default, str):
        value = text.partition('=')[2].strip()  # digits of a text setting are no number
        if name in _PATHS and value:
            value = str(Path(value).expanduser().absolute())
    return name, check(name, value, field.default, field.metadata)


def _settings(place: str) -> type[Settings]:
    module, _, name = place.partition(':')
    settings: type[Settings] = getattr(importlib.import_module(module), name)
    return settings
