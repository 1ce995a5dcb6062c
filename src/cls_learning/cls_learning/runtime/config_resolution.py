"""Resolves the settings of a model and the origin of each value."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cls_common.errors import UserError
from cls_common.settings import Settings

from ..brain import Brain, find
from ..presets import read_preset


def resolve(
    presets_dir: Path, preset: str, overrides: Mapping[str, Any], brain: Brain | None = None
) -> tuple[Any, dict[str, str], dict[str, Any]]:
    """Combines settings: defaults, overridden by the preset, overridden by parameters.

    Args:
        brain: whose settings; None: of the brain `cls`.

    Returns:
        the settings, the origin of each value by dotted name, and the values of preset and parameters.
    """
    brain = brain or find('cls')
    chosen = read_preset(presets_dir, preset, brain.name)
    asked = {**chosen, **overrides}
    settings = brain.settings.from_flat(asked)
    origins = dict.fromkeys(settings.to_flat(), 'default')
    origins |= dict.fromkeys(chosen, f'preset {preset}')
    origins |= dict.fromkeys(overrides, 'parameter')
    brain.check(settings)
    return settings, origins, asked


def check_against(settings: Settings, asked: Mapping[str, Any], model: str) -> None:
    """Raises UserError for a requested value that differs from the settings of an existing model."""
    frozen = settings.to_flat()
    for name, value in asked.items():
        if frozen.get(name) != value:
            raise UserError(
                f'parameter {name!r} for the existing model {model!r}',
                expected=f'{frozen.get(name)!r}, as in its config.json',
                found=repr(value),
                do='Leave it out, or choose another model name.',
            )
