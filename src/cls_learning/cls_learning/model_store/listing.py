"""What models there are, read without opening them and without PyTorch."""

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
    """One line about a model.

    Attributes:
        total_steps: wake steps learned: those of the newest generation, or of the journal after it.
        problem: why it can't be used, empty where it can.
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
    """Returns all models, by name."""
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
    """Returns the bytes of all files; a model in use may lose some while they are counted."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.stat(os.path.join(place, name)).st_size
    return total


def read_config(folder: Path) -> dict[str, Any]:
    """Returns config.json as it stands: values and origins by dotted name, robot, encoder, seed, created_at."""
    path = folder / 'config.json'
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding='utf-8'))
    except FileNotFoundError as error:
        raise UserError(
            f'model {folder.name!r}', expected=f'a folder with config.json in {folder.parent}', found='none',
            do='./cls models list shows what there is.',
        ) from error  # fmt: skip
    except (OSError, ValueError) as error:
        raise UserError(f'{path}', expected='a readable JSON file', found=str(error)) from error
    return content


def weights_hash(folder: Path) -> str:
    """Returns the hash of the weights of the newest generation, from its manifest; empty before the first save."""
    found = generations.numbers(folder / 'generations')
    return generations.read_manifest(folder / 'generations', found[-1]).weights_sha256 if found else ''
