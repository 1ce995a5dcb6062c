"""`--set NAME=VALUE`: checked against the declared settings, before anything is started."""

from collections.abc import Callable, Iterable, Mapping
import contextlib
import importlib
import json
from pathlib import Path
from typing import Any

import click

from cls_bringup.arguments import ARGUMENTS
from cls_common.errors import UserError
from cls_common.overrides import NODES, parse_override
from cls_common.settings import check, Settings

# First part of a name -> where its settings are declared, and those that have an option of their own.
_DECLARED = {
    'sim': 'cls_sim.settings:SimulatorSettings',
    'encoder': 'cls_perception.settings:EncoderSettings',
    'jetbot': 'cls_jetbot_driver.settings:JetBotDriverSettings',
}
_OWN_OPTIONS = {
    'sim.robot': '--robot',
    'sim.scene': '--scene',
    'sim.seed': '--seed',
    'sim.lock_step': '--lock-step',
    'encoder.name': '--encoder',
    'encoder.seed': '--seed',
}
_PATHS = ('sim.panorama', 'encoder.weights')
_NO_PATH = ('', 'random')


def _recipe_of(chosen: Mapping[str, Any]) -> type[Settings]:
    """Returns the settings of the brain that the options --brain, --model and --models-dir choose."""
    from cls_learning.brain import find
    from cls_learning.node_settings import choose_brain, DEFAULT_BRAIN

    if 'model' not in chosen:  # a command without existing models
        return find(chosen.get('brain') or DEFAULT_BRAIN).settings
    names = ('brain', 'model', 'models_dir')
    return choose_brain({name: chosen[name] for name in names if chosen.get(name)}).settings


class _SetOption(click.Option):
    """Lists the settings of installed plug-ins in `--help`, and imports them for it only then."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        record = super().get_help_record(ctx)
        found = _plugin_settings()
        if record is None or not found:
            return record
        return record[0], f'{record[1]} Of installed plug-ins: ' + ', '.join(found) + '.'


def _plugin_settings() -> list[str]:
    """Returns each setting of an installed plug-in with its meaning and default."""
    from cls_learning.brain import find
    from cls_learning.registries import BRAINS

    found: list[str] = []
    for prefix, declared in (('', _recipe_of({})), *((f'{room}.', _settings(p)) for room, p in _DECLARED.items())):
        ours = dict(declared.leaves(prefix, with_plugins=False))
        theirs = ((name, field) for name, field in declared.leaves(prefix) if name not in ours)
        found += [_describe(name, field) for name, field in theirs]
    for brain in BRAINS.installed():
        with contextlib.suppress(UserError):  # the error appears when it is used
            found += [f'{_describe(name, field)} with --brain {brain}' for name, field in find(brain).settings.leaves()]
    return found


def _describe(name: str, field: Any) -> str:
    return f'{name} ({field.metadata["description"].rstrip(".")}; {field.default})'


def option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Declares `--set`; the command receives `settings`, a tuple of checked texts."""
    argument = ARGUMENTS['settings']
    return click.option(
        '--set',
        'settings',
        cls=_SetOption,
        multiple=True,
        metavar='NAME=VALUE',
        callback=lambda context, _, texts: checked(texts, context.params),
        show_default=argument.unset,
        help=f'{argument.text} This option may be repeated.',
    )(function)


def checked(texts: Iterable[str], chosen: Mapping[str, Any] = {}) -> tuple[str, ...]:
    """Returns the checked texts: values have the type of their setting, paths are absolute.

    Args:
        chosen: the other options, of which --brain, --model and --models-dir choose the brain.

    Raises:
        UserError: an unknown setting, with the known ones; a value of the wrong type or out of range.
    """
    return tuple(f'{name}={json.dumps(value)}' for name, value in (_checked(text, chosen) for text in texts))


def _checked(text: str, chosen: Mapping[str, Any]) -> tuple[str, Any]:
    name, value = parse_override(text)
    if name in _OWN_OPTIONS:
        raise UserError(f'--set {text}', expected=f'{_OWN_OPTIONS[name]} in its place')
    room = name.partition('.')[0]
    prefix = f'{room}.' if room in NODES else ''
    declared = _settings(_DECLARED[room]) if prefix else _recipe_of(chosen)
    leaves = dict(declared.leaves(prefix, with_plugins=False))
    if name not in leaves:
        leaves = dict(declared.leaves(prefix))  # imports plug-ins
    known = [leaf for leaf in leaves if leaf not in _OWN_OPTIONS]
    if name not in known:
        declared.explain(name.removeprefix(prefix), {})
        others = '' if prefix else ', or ' + ', '.join(f'{other}.NAME' for other in NODES)
        raise UserError(f'unknown setting {name!r}', expected='one of ' + ', '.join(known) + others)
    field = leaves[name]
    if isinstance(field.default, str):
        value = text.partition('=')[2].strip()  # a text of digits stays one
        if name in _PATHS and value not in _NO_PATH:
            value = str(Path(value).expanduser().absolute())
    return name, check(name, value, field.default, field.metadata)


def _settings(place: str) -> type[Settings]:
    module, _, name = place.partition(':')
    settings: type[Settings] = getattr(importlib.import_module(module), name)
    return settings
