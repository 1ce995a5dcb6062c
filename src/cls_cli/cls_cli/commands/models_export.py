"""`models export`: writes saved models in formats of other tools."""

from collections.abc import Mapping, Sequence
import json
from pathlib import Path
from typing import Any

import click

from cls_common.errors import UserError

from .. import options
from ..invocation import as_called, examples
from ..layers import require

_EXAMPLES = examples(
    './cls models export default --output default.tar',
    './cls models export cart --format nir --network world --output cart.nir',
    './cls models export cart --format torch --output cart_torch',
    './cls models export cart --format tensorboard --output events',
)


@click.command('export', epilog=_EXAMPLES)
@options.model_argument
@options.models_dir
@click.option(
    '--format',
    'form',
    default='archive',
    show_default=True,
    type=click.Choice(['archive', 'nir', 'torch', 'tensorboard']),
    help='Format: one tar file with the whole model; a spiking network for neuromorphic hardware and other simulators '
    '(NIR); actor.pth, critic.pth and training_info.pth; event files of training.log.',
)
@click.option(
    '--network',
    metavar='NAME',
    show_default='actor',
    help='With nir, the network to write: actor, world, or a part of one such as world.members.0.',
)
@click.option(
    '--evaluation',
    'evaluations',
    multiple=True,
    metavar='FILE',
    type=options.FILE,
    show_default='none',
    help='With tensorboard, a report of `./cls evaluate` to add. This option may be repeated.',
)
@click.option(
    '--output',
    required=True,
    metavar='PATH',
    type=click.Path(path_type=Path),
    help='File or folder to write, which must be new.',
)
def command(
    model: str, models_dir: Path, form: str, network: str | None, evaluations: tuple[Path, ...], output: Path
) -> int:
    """Write MODEL for use on another machine or with other tools.

    Unpacked in a folder of models, an archive is the same model again. A model in use is refused, except with
    tensorboard.
    """
    if network is not None and form != 'nir':
        raise UserError('--network', expected='--format nir', found=f'--format {form}')
    if evaluations and form != 'tensorboard':
        raise UserError('--evaluation', expected='--format tensorboard', found=f'--format {form}')
    folder = options.model_folder(models_dir, model)
    reports = [_report(path, model) for path in evaluations]
    if output.exists():
        raise UserError(f'output {output}', expected='a new path', found='an existing one')
    if not output.absolute().parent.is_dir():
        raise UserError(f'output {output}', expected='a path in an existing folder')
    if form in ('nir', 'tensorboard'):
        require('export')
    if form == 'nir':
        text = _nir(folder, network or 'actor', output)
    elif form == 'tensorboard':
        text = _events(folder, output, reports)
    else:
        text = (_archive if form == 'archive' else _torch)(folder, output)
    print(f'{output}: {text}')
    return 0


def _report(path: Path, model: str) -> dict[str, Any]:
    try:
        report: dict[str, Any] = json.loads(path.read_text(encoding='utf-8'))
        found = f'one of {report["model"]!r} after {report["steps"]} steps, mean reward {report["reward_mean"]:g}'
    except (OSError, ValueError, KeyError, TypeError) as error:
        report, found = {}, repr(error)
    if report.get('model') != model:
        raise UserError(f'evaluation {path}', expected=f'a report of `./cls evaluate {model}`', found=found)
    return report


def _archive(folder: Path, output: Path) -> str:
    from ..model_archive import write_archive
    from .models import size

    write_archive(folder, output)
    return f'{size(output.stat().st_size)}; unpack it with `tar -xf {output} -C models`'


def _nir(folder: Path, name: str, output: Path) -> str:
    from cls_learning.export.nir_graph import find_network, write_graph
    from cls_learning.export.torch_files import normalisation
    from cls_learning.runtime.model_copy import model_copy

    with model_copy(folder) as model:
        found = find_network(model.networks, name)
        about = {
            'model': folder.name, 'network': name, 'brain': model.config.brain_name,
            'settings': json.dumps(model.config.settings.to_flat()),
            'normalisation': {each: tensor.numpy() for each, tensor in normalisation(model.networks).items()},
        }  # fmt: skip
        write_graph(found, output, about)
    return f'network {name} with {len(found.layers)} layers of neurons, {len(found.shares)} ticks a step'


def _torch(folder: Path, output: Path) -> str:
    from cls_learning.export.torch_files import action_size, write_torch_files
    from cls_learning.model_store.training_log import read_rows
    from cls_learning.runtime.model_copy import model_copy

    with model_copy(folder) as model:
        config = model.config
        sizes = {'state_dim': sum(config.vectors.values()), 'action_dim': action_size(config.robot)}
        write_torch_files(output, model.networks, sizes, config.settings.to_flat(), read_rows(folder / 'training.log'))
    return ', '.join(sorted(path.name for path in output.iterdir()))


def _events(folder: Path, output: Path, evaluations: Sequence[Mapping[str, Any]]) -> str:
    from cls_learning.export.tensorboard_events import write_events
    from cls_learning.model_store.listing import read_config
    from cls_learning.model_store.training_log import read_rows

    count = write_events(output, read_rows(folder / 'training.log'), read_config(folder)['values'], evaluations)
    return as_called(f'{count} figures; `./cls exec tensorboard --logdir {output}` shows them')
