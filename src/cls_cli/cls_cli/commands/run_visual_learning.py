"""`run-visual-learning`: the pan-tilt robot, as the first system's own entry point (rows 000-079 to 000-095)."""

from pathlib import Path

import click

from cls_bringup.graph import GraphOptions
from cls_common.errors import UserError

from .. import options
from ..terminal import is_interactive
from .models import NONE_FOUND


@click.command('run-visual-learning')
@click.option('--model', default='default', show_default=True, help='New or resumed, by itself.')
@click.option('--port', default='', help='Serial port of the servo board; without it you are asked.')
@click.option('--camera', default='0', show_default=True, help='Index, path, video file or folder of images.')
@click.option('--mode', default='manual', show_default=True, type=click.Choice(['manual', 'random', 'curiosity']))
@click.option('--list-models', is_flag=True, help='Print the names of the saved models and end.')
@click.option('--save-frames', is_flag=True, help='Keep a JPEG before and after each action.')
@click.option('--robot', default='pan_tilt', show_default=True, help='Or sim, to try it.')
@options.models_dir
def command(
    model: str, port: str, camera: str, mode: str, list_models: bool, save_frames: bool, robot: str, models_dir: Path
) -> int:
    """Learn what moving does to what the camera sees, with keys for everything."""
    if list_models:
        return _list_models(models_dir)
    if robot != 'pan_tilt':
        port = camera = ''
    elif not port:
        port = _ask_port()
    graph = GraphOptions(
        robot=robot, model=model, models_dir=str(models_dir.absolute()), mode=mode, port=port, camera=camera,
        save_frames=save_frames,
    )  # fmt: skip
    from ..running import Choices, run

    return run(graph, Choices(view=True))


def _list_models(models_dir: Path) -> int:
    from cls_learning.model_store.listing import list_models

    names = sorted(summary.name for summary in list_models(models_dir))
    print('\n'.join(names) if names else NONE_FOUND)
    return 0


def _ask_port() -> str:
    from cls_servo_driver.ports import find_ports, read_answer

    found = find_ports()
    if not is_interactive():
        raise UserError(
            'no serial port was given', found=', '.join(port.device for port in found) or 'no ports',
            do='Give --port, or --robot sim to try it without a robot.',
        )  # fmt: skip
    if not found:
        print('No serial ports found. Is the board plugged in?')
    for number, port in enumerate(found, 1):
        print(f'{number}  {port.device}  {port.description}')
    return read_answer(str(click.prompt('Port (number or path)')), found)
