"""Presets: settings for new models by name, each a parameter file. No PyTorch here."""

from pathlib import Path
from typing import Any

from cls_common.errors import UserError
from cls_common.settings import read_parameter_file

# Its presets are files of the folder itself, those of another brain of the folder of its name.
_OF_THE_FOLDER = 'cls'
_ENDING = '.param.yaml'


def read_preset(presets_dir: Path, name: str, brain: str = _OF_THE_FOLDER) -> dict[str, Any]:
    """Returns the values of a brain's preset by dotted name; empty for `default` and an empty name.

    Raises:
        UserError: the brain has no such preset.
    """
    if name in ('', 'default'):
        return {}
    folder = presets_dir if brain == _OF_THE_FOLDER else presets_dir / brain
    path = folder / f'{name}{_ENDING}'
    if not path.exists():
        names = ['default', *sorted(p.name.removesuffix(_ENDING) for p in folder.glob(f'*{_ENDING}'))]
        raise UserError(f'unknown preset {name!r}', expected='one of ' + ', '.join(names))
    return read_parameter_file(path).get('slow_learner', {})
