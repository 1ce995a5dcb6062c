"""Options that several commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from cls_common.errors import UserError

F = TypeVar('F', bound=Callable[..., Any])


def namespace(function: F) -> F:
    """`--namespace`: of the graph to talk to."""
    return click.option('--namespace', default='', metavar='NS', help='Namespace of the graph.')(function)


def models_dir(function: F) -> F:
    """`--models-dir`: where model folders lie."""
    return click.option(
        '--models-dir', default='models', show_default=True, type=click.Path(path_type=Path),
        help='Folder of the model folders.',
    )(function)  # fmt: skip


def accept_robot(function: F) -> F:
    """`--accept-robot`: a model may go on with another robot than the one it was made with."""
    return click.option(
        '--accept-robot', is_flag=True, help='Go on with a model that was made with a robot of another name.'
    )(function)


def model_folder(models_dir: Path, model: str) -> Path:
    """Returns the folder of a model that exists; raises UserError with those that do."""
    folder = models_dir / model
    # A name, not a path: '..' or '/' would lead out of the folder.
    if model in ('', '.', '..') or '/' in model or not folder.is_dir():
        found = sorted(path.name for path in models_dir.iterdir() if path.is_dir()) if models_dir.is_dir() else []
        raise UserError(f'no model {model!r} in {models_dir}', found=', '.join(found) or 'no models')
    return folder
