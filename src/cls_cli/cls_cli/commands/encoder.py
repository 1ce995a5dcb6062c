"""`encoder train`: trains an encoder on recorded sessions."""

from contextlib import nullcontext
from pathlib import Path
from typing import Any, TYPE_CHECKING

import click

from cls_common.errors import UserError

from .. import options
from ..invocation import as_called, examples

if TYPE_CHECKING:
    from rich.progress import Progress

    from cls_common.robot import RobotInfo
    from cls_perception.trained_encoder import TrainedEncoder


_EXAMPLES = examples(
    './cls encoder train sessions/sim --encoder joint_prediction --model NAME',
    './cls encoder train sessions/sim --encoder masked_autoencoder \\',
    '      --output encoder.safetensors',
    './cls encoder train sessions/sim --weights encoder.safetensors --model OTHER',
)


@click.group('encoder', epilog=_EXAMPLES)
def command() -> None:
    """Train encoders of images."""


@command.command('train', epilog=_EXAMPLES)
@click.argument('sessions', nargs=-1, required=True, metavar='SESSION...', type=options.SESSIONS)
@click.option(
    '--encoder',
    default='',
    metavar='NAME',
    show_default='none',
    help='Encoder to train: masked_autoencoder or joint_prediction.',
)
@click.option(
    '--weights',
    metavar='FILE',
    type=options.FILE,
    show_default='none',
    help='Use this trained encoder, a file that --output wrote, instead of training one.',
)
@click.option(
    '--output',
    metavar='FILE',
    type=options.FILE,
    show_default='none',
    help='Write the encoder to this safetensors file.',
)
@click.option(
    '--model', default='', metavar='NAME', show_default='none', help='Create a model of this name with the encoder.'
)
@options.models_dir
@options.preset
@click.option(
    '--image-pairs',
    default=1000,
    show_default=True,
    type=click.IntRange(1),
    metavar='N',
    help='Read at most this many pairs of images, one per step of the robot.',
)
@click.option(
    '--updates',
    default=1000,
    show_default=True,
    type=click.IntRange(1),
    metavar='N',
    help='Number of updates of the optimiser.',
)
@options.seed
@click.option(
    '--device',
    default='',
    metavar='NAME',
    show_default='the fastest there is',
    help='Device that trains, such as cpu or cuda:0.',
)
def train_command(
    sessions: tuple[Path, ...],
    encoder: str,
    weights: Path | None,
    output: Path | None,
    model: str,
    models_dir: Path,
    **chosen: Any,
) -> int:
    """Train an encoder on the images of each SESSION.

    The encoder is written to a file, or a model is created with it, or both. A model keeps the encoder that it was
    created with.
    """
    if bool(encoder) == bool(weights):
        raise UserError('encoder', expected='--encoder NAME to be trained, or --weights FILE of a trained one')
    if not (output or model):
        raise UserError('encoder', expected='--output FILE or --model NAME, to keep it', found='neither')
    from rich.progress import Progress

    from cls_perception.trained_encoder import write_encoder_file
    from cls_recording.discovery import find_sessions
    from cls_training.encoder_training.image_pairs import robot_of
    from cls_training.encoder_training.model import create, new_model

    paths = find_sessions(sessions)
    robot = robot_of(paths[0])
    with new_model(models_dir, model) if model else nullcontext() as folder, Progress() as bar:
        trained = _load(weights) if weights else _train(paths, robot, encoder, chosen, bar)
        if output:
            write_encoder_file(trained, output)
        if folder is not None:
            create(folder, robot, trained, chosen['preset'], chosen['seed'])
    click.echo(f'encoder {trained.id}')
    if model:
        place = '' if models_dir == Path('models') else f' --models-dir {models_dir}'
        click.echo(as_called(f'model {model} uses it: ./cls up --robot {robot.name} --model {model}{place}'))
    return 0


def _load(path: Path) -> 'TrainedEncoder':
    from cls_perception.settings import EncoderSettings
    from cls_perception.trained_encoder import read_encoder_file
    from cls_perception.training import find_trainable

    name = str(read_encoder_file(path)[0].get('name'))
    return find_trainable(name).make(EncoderSettings(name=name, weights=str(path), threads=1), 0, '')


def _train(
    paths: list[Path], robot: 'RobotInfo', name: str, chosen: dict[str, Any], bar: 'Progress'
) -> 'TrainedEncoder':
    import torch

    from cls_perception.settings import TrainingSettings
    from cls_perception.training import find_trainable, train
    from cls_training.encoder_training.image_pairs import read_image_pairs

    find_trainable(name)
    settings = TrainingSettings(seed=max(chosen['seed'], 0), device=chosen['device'], steps=chosen['updates'])
    if chosen['seed'] >= 0:
        torch.set_num_threads(1)  # the order of sums decides the last bit
    reading = bar.add_task('reading', total=chosen['image_pairs'])
    pairs = read_image_pairs(paths, robot, chosen['image_pairs'], lambda count: bar.update(reading, completed=count))
    bar.update(reading, total=len(pairs.before))
    training = bar.add_task('training', total=settings.steps)

    def show(step: int, loss: float) -> None:
        bar.update(training, completed=step, description=f'training, loss {loss:.3f}')

    return train(name, pairs, settings, show, {'sessions': [path.name for path in paths]})
