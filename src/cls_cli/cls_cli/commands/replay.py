"""`replay`: learns from recorded sessions, in one process."""

from pathlib import Path
from typing import Any, TYPE_CHECKING

import click

from cls_common.errors import UserError
from cls_common.overrides import by_node, RECIPE

from .. import options, set_options
from ..invocation import examples

if TYPE_CHECKING:
    from cls_training.replaying import ReplaySummary


# Steps between two updates of the progress bar, since drawing takes time.
_SHOW_EVERY = 20
_EXAMPLES = examples(
    './cls replay sessions/sim --model again',
    './cls replay sessions/sim/session_20250102_030405 --seed 1 --steps 500',
    './cls replay sessions/sim --until-plateau --patience 3',
)


@click.command('replay', epilog=_EXAMPLES)
@click.argument('sessions', nargs=-1, required=True, metavar='SESSION...', type=options.SESSIONS)
@options.brain
@options.model
@options.models_dir
@options.filter_action
@options.steps()
@click.option('--until-plateau', is_flag=True, help='Repeat all sessions until the loss no longer improves.')
@click.option(
    '--patience',
    default=5,
    show_default=True,
    type=click.IntRange(1),
    metavar='N',
    help='With --until-plateau, end after this many epochs without an improvement.',
)
@click.option(
    '--min-delta',
    default=0.001,
    show_default=True,
    type=click.FloatRange(0.0),
    metavar='LOSS',
    help='With --until-plateau, smallest decrease of the loss that counts as an improvement.',
)
@click.option(
    '--min-epochs',
    default=3,
    show_default=True,
    type=click.IntRange(1),
    metavar='N',
    help='With --until-plateau, run at least this many epochs.',
)
@click.option(
    '--max-epochs',
    default=100,
    show_default=True,
    type=click.IntRange(1),
    metavar='N',
    help='With --until-plateau, run at most this many epochs.',
)
@options.seed
@options.encoder
@options.preset
@set_options.option
@options.accept_robot
def command(sessions: tuple[Path, ...], settings: tuple[str, ...], **chosen: Any) -> int:
    """Learn from recorded sessions in one process.

    ROS is not used. SESSION is the folder of a session, or a folder of sessions. A replay that was stopped
    continues with the same command. The last line printed is the hash of the weights.
    """
    from rich.progress import Progress

    from cls_bringup.interrupts import Interrupts
    from cls_training.replaying import replay, ReplayOptions
    from cls_training.train_loop import TrainProgress

    overrides = by_node(settings)
    if 'simulator' in overrides:
        raise UserError('--set sim.NAME', expected='a simulated robot', found='recorded sessions')
    asked = ReplayOptions(
        sessions=sessions, overrides=overrides.get(RECIPE, {}), encoder_settings=overrides.get('encoder', {}), **chosen
    )
    with Progress() as bar, Interrupts() as interrupts:
        task = bar.add_task('reading', total=_length(asked))

        def show(progress: TrainProgress) -> None:
            if progress.phase == 'wake' and progress.step % _SHOW_EVERY:
                return
            figures = ' '.join(f'{name} {value:.3f}' for name, value in progress.measure().items())
            bar.update(task, completed=progress.step, description=f'{progress.phase:6} {figures}')

        summary = replay(asked, show, lambda: interrupts.count > 0)
    _print(summary)
    return 0


def _length(asked: Any) -> int | None:
    """Returns the number of steps of one epoch from the summaries of the sessions; None if unknown."""
    from cls_common import comms
    from cls_recording.discovery import find_sessions
    from cls_recording.reader import SessionReader

    if asked.until_plateau or asked.filter_action:
        return asked.steps or None
    steps = 0
    for path in find_sessions(asked.sessions):
        with SessionReader(path) as reader:
            known = (reader.topics.get(topic.name) for topic in (comms.EXPERIENCE, comms.APPLIED_ACTION))
            steps += next((summary.count for summary in known if summary is not None), 0)
    return min(steps, asked.steps) if asked.steps else steps


def _print(summary: 'ReplaySummary') -> None:
    made = f'{summary.reused} reused, {summary.computed} computed'
    refused = f', {summary.refused} refused' if summary.refused else ''
    refused += f', {summary.broken} images broken and left out' if summary.broken else ''
    rate = summary.steps / max(summary.awake, 1e-9)
    pace = f'{summary.awake:.0f} s awake ({rate:.0f} steps/s) and {summary.asleep:.0f} s asleep'
    click.echo(f'steps {summary.steps} in {pace} (embeddings: {made}{refused})')
    if not summary.has_score:
        click.echo('no loss: this brain gives no score')
    for number, loss in enumerate(summary.losses if summary.has_score else [], 1):
        click.echo(f'epoch {number:3}  loss {loss:.4f} relative to copying')
    if summary.losses and summary.has_score:
        best = min(summary.losses)
        reason = 'plateau' if summary.plateau else 'done'
        click.echo(f'{reason} after {len(summary.losses)} epochs: best {best:.4f}, final {summary.losses[-1]:.4f}')
    if not summary.finished:
        click.echo('stopped before the end: the same command continues from here')
    click.echo(f'weights sha256 {summary.weights}')
