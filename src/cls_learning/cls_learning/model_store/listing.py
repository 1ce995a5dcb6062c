"""Lists the models of a folder without locking them and without PyTorch."""

import contextlib
from dataclasses import dataclass
import json
import os
from pathlib import Path
from typing import Any

from cls_common.errors import UserError

from . import generations, journal


@dataclass(frozen=True)
class ModelSummary:
    """Summary of one model.

    Attributes:
        total_steps: wake steps learned: those of the newest generation, or of the journal after it.
        problem: why the model can't be used; empty where it can.
    """

    name: str
    created_at: str
    total_steps: int
    cycles: int
    generation: int
    encoder: str
    robot: str
    size_bytes: int
    problem: str


def list_models(models_dir: Path) -> list[ModelSummary]:
    """Returns the summaries of all models, by name."""
    folders = sorted(p.parent for p in models_dir.glob('*/config.json'))
    return [_summary(folder) for folder in folders]


def _summary(folder: Path) -> ModelSummary:
    size = _size(folder)
    try:
        config = read_config(folder)
        encoder = str(config['encoder'].get('name', '?')) if config['encoder'] else '-'
        found = generations.numbers(folder / 'generations')
        steps = cycles = number = 0
        if found:
            manifest = generations.read_manifest(folder / 'generations', found[-1])
            steps, cycles, number = manifest.sequence, manifest.cycles, manifest.number
        journals = sorted((folder / 'journal').glob('*.journal'))
        steps = max([steps, *(journal.last_sequence(path) for path in journals[-1:])])
        created = str(config['created_at'])
        return ModelSummary(folder.name, created, steps, cycles, number, encoder, config['robot']['name'], size, '')
    except (UserError, OSError, KeyError, TypeError, AttributeError) as error:
        return ModelSummary(folder.name, '', 0, 0, 0, '', '', size, str(error))


def _size(folder: Path) -> int:
    """Returns the size of all files in bytes; files of a model in use may vanish meanwhile."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.stat(os.path.join(place, name)).st_size
    return total


def read_config(folder: Path) -> dict[str, Any]:
    """Returns the parsed config.json: values and origins by dotted name, robot, encoder, seed, created_at.

    Raises:
        UserError: the file is missing or damaged.
    """
    path = folder / 'config.json'
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding='utf-8'))
    except FileNotFoundError as error:
        raise UserError(
            f'model {folder.name!r}',
            expected=f'a folder with config.json in {folder.parent}',
            found='none',
            do='./cls models list shows the models.',
        ) from error
    except (OSError, ValueError) as error:
        raise UserError(f'{path}', expected='a readable JSON file', found=str(error)) from error
    return content


def weights_hash(folder: Path) -> str:
    """Returns the hash of the weights of the newest generation, from its manifest; empty before the first save."""
    found = generations.numbers(folder / 'generations')
    return generations.read_manifest(folder / 'generations', found[-1]).weights_sha256 if found else ''
