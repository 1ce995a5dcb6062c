"""Which recipe a model gets, and where each of its numbers came from."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cls_common.errors import UserError

from ..config import LearningSettings
from ..presets import read_preset
from ..registries import MEMORIES, PHASES, POLICIES, WORLD_MODELS


def resolve(
    presets_dir: Path, preset: str, overrides: Mapping[str, Any]
) -> tuple[LearningSettings, dict[str, str], dict[str, Any]]:
    """Puts a recipe together: the code's defaults, then the preset, then what was asked for by name.

    Returns:
        the settings, the origin of each value by dotted name, and the values that were asked for.
    """
    chosen = read_preset(presets_dir, preset)
    asked = {**chosen, **overrides}
    settings = LearningSettings.from_flat(asked)
    origins = dict.fromkeys(settings.to_flat(), 'default')
    origins |= dict.fromkeys(chosen, f'preset {preset}')
    origins |= dict.fromkeys(overrides, 'parameter')
    _check_rooms(settings)
    return settings, origins, asked


def _check_rooms(settings: LearningSettings) -> None:
    """Refuses names of no file now: in a model's frozen config they could never be mended."""
    WORLD_MODELS.find(settings.network.world_model)
    POLICIES.find(settings.policy.kind)
    MEMORIES.find(settings.memory.kind)
    for name in settings.sleep.phases.split():
        PHASES.find(name)


def check_against(settings: LearningSettings, asked: Mapping[str, Any], model: str) -> None:
    """Refuses values asked for by name that differ from an existing model's frozen recipe (row 000-070)."""
    frozen = settings.to_flat()
    for name, value in asked.items():
        if frozen.get(name) != value:
            raise UserError(
                f'parameter {name!r} for the existing model {model!r}',
                expected=f'{frozen.get(name)!r}, as in its config.json',
                found=repr(value), do='Leave it out, or choose another model name.',
            )  # fmt: skip
