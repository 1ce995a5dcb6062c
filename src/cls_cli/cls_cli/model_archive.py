"""Writes a model folder to one tar file."""

import os
from pathlib import Path
import tarfile

from cls_common.errors import UserError
from cls_learning.model_store import ownership

# Files of the process that uses the folder.
_LEFT_OUT = ('lock', 'owner.json')


def write_archive(folder: Path, output: Path) -> None:
    """Writes a model folder to a new tar file; the file appears only when it is complete.

    Raises:
        UserError: the model is in use, or the file exists or can not be written.
    """
    if output.exists():
        raise UserError(f'output {output}', expected='a new file', found='an existing one')
    partial = output.with_name(f'.{output.name}.{os.getpid()}.new')
    ownership.check_access(folder)
    lock = ownership.take(folder)
    try:
        with tarfile.open(partial, 'w') as archive:
            archive.add(folder, folder.name, filter=_keep)
        with partial.open('rb') as written:
            os.fsync(written.fileno())
        partial.rename(output)
    except OSError as error:
        raise UserError(f'output {output}', expected='a file to write', found=error.strerror or str(error)) from error
    finally:
        partial.unlink(missing_ok=True)
        lock.release()


def _keep(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if Path(member.name).name in _LEFT_OUT else member
