"""`sessions export`: writes recorded sessions in formats of other tools."""

from collections.abc import Callable
import math
from pathlib import Path

import click

from cls_common.errors import UserError

from .. import options
from ..invocation import examples
from ..layers import require

_EXAMPLES = examples(
    './cls sessions export sessions/sim --format lerobot --output dataset',
    './cls sessions export sessions/sim/session_20250102_030405 \\',
    '      --format mp4 --output run.mp4',
    './cls sessions export sessions/sim/session_20250102_030405 \\',
    '      --format frames --output frames',
)


@click.command('export', epilog=_EXAMPLES)
@click.argument('sessions', nargs=-1, required=True, metavar='SESSION...', type=options.SESSIONS)
@click.option(
    '--format',
    'form',
    required=True,
    type=click.Choice(['lerobot', 'mp4', 'frames']),
    help='Format: a LeRobotDataset v3.0 with one row per step, a video of the camera, or JPEG images before and after '
    'each step.',
)
@click.option(
    '--output',
    required=True,
    metavar='PATH',
    type=click.Path(path_type=Path),
    help='Folder or file to write, which must be new.',
)
@click.option(
    '--fps',
    type=click.IntRange(1, 1000),
    metavar='N',
    show_default='lerobot: the median rate of the steps; mp4: the recorded times',
    help='Frames per second of the dataset, or of the video.',
)
@click.option(
    '--task', metavar='TEXT', show_default='a general one', help='With lerobot, description of what the robot does.'
)
def command(sessions: tuple[Path, ...], form: str, output: Path, fps: int | None, task: str | None) -> int:
    """Write each SESSION as one dataset, one video or images of steps."""
    from rich.console import Console
    from rich.progress import Progress

    from cls_recording.discovery import find_sessions

    if form != 'lerobot' and task is not None:
        raise UserError('--task', expected='--format lerobot', found=f'--format {form}')
    if form == 'frames' and fps is not None:
        raise UserError('--fps', expected='--format lerobot or mp4', found='--format frames')
    found = find_sessions(sessions)
    if form != 'frames':
        require('export')
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        shown = bar.add_task('reading', total=None)

        def progress(done: int, total: int) -> None:
            bar.update(shown, completed=done, total=total, description='writing')

        if form == 'frames':
            text = _frames(found, output, progress)
        elif form == 'mp4':
            text = _video(found, output, fps, progress)
        else:
            text = _dataset(found, output, fps, task, progress)
    print(text)
    return 0


def _frames(sessions: list[Path], output: Path, progress: Callable[[int, int], None]) -> str:
    from cls_recording.export.frame_files import export_frames

    done = export_frames(sessions, output, progress=progress)
    text = f'{output}: images of {done.written} steps'
    return text + (f'; left out: {done.missing} without an image before and after' if done.missing else '')


def _video(sessions: list[Path], output: Path, fps: int | None, progress: Callable[[int, int], None]) -> str:
    from cls_recording.export.video import export_video

    done = export_video(sessions, output, fps=fps, progress=progress)
    text = f'{output}: {done.frames} images, {done.duration:.1f} s'
    return text + (f'; left out: {done.broken} that can not be decoded' if done.broken else '')


def _dataset(
    sessions: list[Path], output: Path, fps: int | None, task: str | None, progress: Callable[[int, int], None]
) -> str:
    from cls_recording.export.lerobot import DEFAULT_TASK, export_lerobot, reasons

    done = export_lerobot(sessions, output, fps=fps, task=task or DEFAULT_TASK, progress=progress)
    text = f'{output}: {done.frames} steps in {done.episodes} episodes, {done.fps} fps'
    if math.isfinite(done.step_rate):
        text += f' (steps came at {done.step_rate:.3g} Hz)'
    return text + (f'; left out: {reasons(done.left_out)}' if done.left_out else '')
