"""`./cls replay`: learn from recorded sessions, without ROS."""

from pathlib import Path
from typing import Any, TYPE_CHECKING

import click

from cls_common.errors import UserError
from cls_common.overrides import by_node, RECIPE

from .. import set_options
from ..options import accept_robot, models_dir

if TYPE_CHECKING:
    from cls_training.replaying import ReplaySummary


# Steps from one look at the figures to the next: drawing takes time from learning.
_SHOW_EVERY = 20


@click.command('replay', help='Learn from recorded sessions in one process, without ROS; goes on where it was stopped.')
@click.argument('sessions', nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option('--model', default='default', show_default=True, help='Name of the model; created where it is missing.')
@models_dir
@click.option('--until-plateau', is_flag=True, help='Repeat all sessions until the loss stays.')
@click.option('--patience', default=5, show_default=True, type=click.IntRange(1), help='Epochs without improvement.')
@click.option('--min-delta', default=0.001, show_default=True, type=click.FloatRange(0.0), help='An improvement.')
@click.option('--min-epochs', default=3, show_default=True, type=click.IntRange(1), help='Before judging.')
@click.option('--max-epochs', default=100, show_default=True, type=click.IntRange(1), help='Epochs at most.')
@click.option('--filter-action', default='', metavar='KEY=VALUE', help='Only actions of this value, such as pan=5.')
@click.option('--seed', default=-1, type=click.IntRange(-1), help='Of a new model: networks and all choices.')
@click.option('--encoder', default='', help='Of a new model; default: the one that recorded.')
@click.option('--preset', default='', help='A recipe of config/presets, for a new model.')
@set_options.option
@accept_robot
@click.option('--steps', default=0, type=click.IntRange(0), help='Stop after this many steps, to be gone on with.')
def command(sessions: tuple[Path, ...], settings: tuple[str, ...], **chosen: Any) -> int:
    """Learns with a progress bar, prints a summary, and the hash of the weights as its last line."""
    from rich.progress import Progress

    from cls_bringup.interrupts import Interrupts
    from cls_training.living import Progress as Lived
    from cls_training.replaying import replay, ReplayOptions

    overrides = by_node(settings)
    if 'simulator' in overrides:
        raise UserError('--set sim.NAME', expected='a simulated robot', found='recorded sessions')
    options = ReplayOptions(
        sessions=sessions, overrides=overrides.get(RECIPE, {}), encoder_settings=overrides.get('encoder', {}), **chosen
    )
    with Progress() as bar, Interrupts() as interrupts:
        task = bar.add_task('reading', total=_length(options))

        def show(lived: Lived) -> None:
            if lived.phase == 'wake' and lived.step % _SHOW_EVERY:
                return
            figures = ' '.join(f'{name} {value:.3f}' for name, value in lived.figures.items())
            bar.update(task, completed=lived.step, description=f'{lived.phase:6} {figures}')

        summary = replay(options, show, lambda: interrupts.count > 0)
    _print(summary)
    return 0


def _length(options: Any) -> int | None:
    """Steps of one epoch, as far as the sessions say without being read through."""
    from cls_common import comms
    from cls_recording.discovery import find_sessions
    from cls_recording.reader import SessionReader

    if options.until_plateau or options.filter_action:
        return options.steps or None
    steps = 0
    for path in find_sessions(options.sessions):
        with SessionReader(path) as reader:
            known = (reader.topics.get(topic.name) for topic in (comms.EXPERIENCE, comms.APPLIED_ACTION))
            steps += next((summary.count for summary in known if summary is not None), 0)
    return min(steps, options.steps) if options.steps else steps


def _print(summary: 'ReplaySummary') -> None:
    made = f'{summary.reused} reused, {summary.computed} computed'
    refused = f', {summary.refused} refused' if summary.refused else ''
    refused += f', {summary.broken} images broken and left out' if summary.broken else ''
    rate = summary.steps / max(summary.awake, 1e-9)
    pace = f'{summary.awake:.0f} s awake ({rate:.0f} steps/s) and {summary.asleep:.0f} s asleep'
    click.echo(f'steps {summary.steps} in {pace} (embeddings: {made}{refused})')
    for number, loss in enumerate(summary.losses, 1):
        click.echo(f'epoch {number:3}  loss {loss:.4f} of copying')
    if summary.losses:
        best = min(summary.losses)
        reason = 'plateau' if summary.plateau else 'done'
        click.echo(f'{reason} after {len(summary.losses)} epochs: best {best:.4f}, final {summary.losses[-1]:.4f}')
    if not summary.finished:
        click.echo('stopped before its end: the same command goes on from here')
    click.echo(f'weights sha256 {summary.weights}')
