"""Generations: consistent snapshots of the whole model, each in a folder with a manifest of checksums.

A generation is written under a temporary name, its manifest last, and then renamed, so that it is complete or absent.
The generation before the newest is kept, in case the newest is damaged.
"""

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
import json
from pathlib import Path
import shutil
from typing import Any

from cls_common.errors import UserError

from .files import sha256_file, sync_folder, write_whole

SCHEMA = 2
KEPT = 2
# Names of the parts in schema 1, which was of one brain only, and in schema 2.
_PARTS_1 = {'waking': 'online', 'sleeping': 'consolidator', 'replay': 'memory'}
_ENDING = '.safetensors'


@dataclass(frozen=True)
class Manifest:
    """Manifest of a generation.

    Attributes:
        number: from 1. sequence: of the last experience that was learned.
        files: sha256 by file name.
    """

    schema: int
    number: int
    run_id: str
    sequence: int
    cycles: int
    created_at: str
    weights_sha256: str
    files: dict[str, str]


def numbers(folder: Path) -> list[int]:
    """Returns the numbers of the generations in a folder, oldest first."""
    return sorted(int(p.name) for p in folder.glob('[0-9]*') if p.is_dir() and p.name.isdigit())


def read_manifest(folder: Path, number: int) -> Manifest:
    """Reads and checks a manifest; raises UserError where it is missing, damaged or newer."""
    path = folder / f'{number:06d}' / 'manifest.json'
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding='utf-8'))
        schema = int(content['schema'])
        if schema > SCHEMA:
            raise UserError(
                f'{path}',
                expected=f'schema {SCHEMA} or older',
                found=f'schema {schema}',
                do='This model was saved by a newer version: update this software.',
            )
        manifest = Manifest(**content)
        if manifest.number != number or not isinstance(manifest.files, dict):
            raise ValueError(f'number {manifest.number}, files {manifest.files}')
        return manifest
    except UserError:
        raise
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise UserError(f'{path}', expected='a whole manifest', found=repr(error)) from error


def write(
    folder: Path,
    parts: Mapping[str, bytes],
    *,
    weights: str,
    run_id: str,
    sequence: int,
    cycles: int,
    created_at: str,
    damaged: Collection[int] = (),
) -> int:
    """Writes the next generation, removes all but the newest `KEPT` and `damaged` ones, and returns its number.

    Args:
        parts: safetensors by part name. weights: hash of the weights.
    """
    folder.mkdir(parents=True, exist_ok=True)
    number = (numbers(folder) or [0])[-1] + 1
    temporary = folder / f'.{number:06d}.new'
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    for name, data in parts.items():
        write_whole(temporary / f'{name}{_ENDING}', data)
    files = {f'{name}{_ENDING}': sha256_file(temporary / f'{name}{_ENDING}') for name in parts}
    manifest = Manifest(SCHEMA, number, run_id, sequence, cycles, created_at, weights, files)
    write_whole(temporary / 'manifest.json', json.dumps(asdict(manifest), indent=2).encode())
    temporary.rename(folder / f'{number:06d}')
    sync_folder(folder)
    kept = [n for n in numbers(folder) if n not in damaged][-KEPT:]
    for old in numbers(folder):
        if old not in kept:
            shutil.rmtree(folder / f'{old:06d}')
    return number


def read(folder: Path, number: int) -> tuple[Manifest, dict[str, bytes]]:
    """Reads manifest and parts of a generation and verifies its checksums.

    Raises:
        UserError: a part is missing or damaged.
    """
    manifest = read_manifest(folder, number)
    parts: dict[str, bytes] = {}
    for name, checksum in manifest.files.items():
        path = folder / f'{number:06d}' / name
        if not path.exists() or sha256_file(path) != checksum:
            found = 'other contents' if path.exists() else 'no such file'
            raise UserError(f'{path}', expected='the checksum of its manifest', found=found)
        part = name.removesuffix(_ENDING)
        parts[_PARTS_1.get(part, part) if manifest.schema == 1 else part] = path.read_bytes()
    return manifest, parts
