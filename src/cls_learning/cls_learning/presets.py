"""Presets: settings for new models by name, each a parameter file. No PyTorch here."""

from pathlib import Path
from typing import Any

from cls_common.errors import UserError
from cls_common.settings import read_parameter_file


def read_preset(presets_dir: Path, name: str) -> dict[str, Any]:
    """Returns the values of a preset by dotted name; empty for `default` and an empty name.

    Raises:
        UserError: there is no such preset.
    """
    if name in ('', 'default'):
        return {}
    path = presets_dir / f'{name}.param.yaml'
    if not path.exists():
        names = ['default', *sorted(p.name.removesuffix('.param.yaml') for p in presets_dir.glob('*.param.yaml'))]
        raise UserError(f'unknown preset {name!r}', expected='one of ' + ', '.join(names))
    return read_parameter_file(path).get('slow_learner', {})
