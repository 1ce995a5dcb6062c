"""`eyes`: trains eyes on recorded sessions."""

from contextlib import nullcontext
from pathlib import Path
from typing import Any, TYPE_CHECKING

import click

from cls_common.errors import UserError

from .. import options

if TYPE_CHECKING:
    from rich.progress import Progress

    from cls_common.robot import RobotInfo
    from cls_perception.trained_encoder import TrainedEncoder


@click.command('eyes', help="Train eyes on a robot's own first minutes; a model made with them keeps them for ever.")
@click.argument('sessions', nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option('--encoder', default='', metavar='NAME', help='What is trained: masked_autoencoder or joint_prediction.')
@click.option('--weights', type=click.Path(path_type=Path, dir_okay=False), help='Eyes trained before, by --out.')
@click.option('--out', type=click.Path(path_type=Path, dir_okay=False), help='Write the eyes as one safetensors file.')
@click.option('--model', default='', metavar='NAME', help='Make a model with these eyes.')
@options.models_dir
@click.option('--preset', default='', help='A recipe of config/presets, for the model.')
@click.option('--views', default=1000, show_default=True, type=click.IntRange(1), help='Steps of the robot at most.')
@click.option('--steps', type=click.IntRange(1), help='Steps of training; default: 1000.')
@click.option('--seed', default=-1, type=click.IntRange(-1), help='Of training and model; -1: drawn for the model.')
@click.option('--device', default='', help='cpu or cuda:0; default: the fastest that is there.')
def command(
    sessions: tuple[Path, ...], encoder: str, weights: Path | None, out: Path | None, model: str, models_dir: Path,
    **chosen: Any,
) -> int:  # fmt: skip
    """Trains with a progress bar, and says what the eyes are."""
    if bool(encoder) == bool(weights):
        raise UserError('eyes', expected='--encoder NAME to be trained, or --weights FILE of eyes trained before')
    if not (out or model):
        raise UserError('eyes', expected='--out FILE or --model NAME, to keep them', found='neither')
    from rich.progress import Progress

    from cls_perception.trained_encoder import write_encoder_file
    from cls_recording.discovery import find_sessions
    from cls_training.eyes.model import create, new_model
    from cls_training.eyes.views import robot_of

    paths = find_sessions(sessions)
    robot = robot_of(paths[0])
    with new_model(models_dir, model) if model else nullcontext() as folder, Progress() as bar:
        eyes = _load(weights) if weights else _train(paths, robot, encoder, chosen, bar)
        if out:
            write_encoder_file(eyes, out)
        if folder is not None:
            create(folder, robot, eyes, chosen['preset'], chosen['seed'])
    click.echo(f'eyes {eyes.id}')
    if model:
        place = '' if models_dir == Path('models') else f' --models-dir {models_dir}'
        click.echo(f'model {model} sees with them: ./cls up --robot {robot.name} --model {model}{place}')
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
    from cls_training.eyes.views import read_views

    find_trainable(name)
    asked = {'steps': chosen['steps']} if chosen['steps'] else {}
    settings = TrainingSettings(seed=max(chosen['seed'], 0), device=chosen['device'], **asked)
    if chosen['seed'] >= 0:
        torch.set_num_threads(1)  # the order of sums decides the last bit
    reading = bar.add_task('reading', total=chosen['views'])
    views = read_views(paths, robot, chosen['views'], lambda count: bar.update(reading, completed=count))
    bar.update(reading, total=len(views.before))
    training = bar.add_task('training', total=settings.steps)

    def show(step: int, loss: float) -> None:
        bar.update(training, completed=step, description=f'training, loss {loss:.3f}')

    return train(name, views, settings, show, {'sessions': [path.name for path in paths]})
