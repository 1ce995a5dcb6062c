"""`run-visual-learning`: the pan-tilt robot with its camera, with few options and with keys."""

from pathlib import Path

import click

from cls_bringup.graph import GraphOptions
from cls_common.errors import UserError

from .. import options
from ..invocation import examples
from ..terminal import is_interactive
from .models import NONE_FOUND

_EXAMPLES = examples(
    './cls run-visual-learning                  # asks for the serial port',
    './cls run-visual-learning --port /dev/ttyACM0 --camera 1 --mode curiosity',
    './cls run-visual-learning --robot sim      # without a robot',
)


@click.command('run-visual-learning', epilog=_EXAMPLES)
@options.model
@options.models_dir
@options.graph_option('port', metavar='PATH', show_default='asked for')
@options.graph_option('camera', metavar='SOURCE', default='0', show_default=True)
@options.mode('manual', 'random', 'curiosity')
@options.graph_option('robot', metavar='ROBOT', default='pan_tilt', help='Robot: pan_tilt, or sim to try the command.')
@options.save_frames
@click.option('--list-models', is_flag=True, help='Print the names of the saved models and exit.')
def command(
    model: str, port: str, camera: str, mode: str, list_models: bool, save_frames: bool, robot: str, models_dir: Path
) -> int:
    """Let the pan-tilt robot learn, and steer it by keys.

    This is `up` with the few options that this robot needs.
    """
    if list_models:
        return _list_models(models_dir)
    if robot != 'pan_tilt':
        port = camera = ''
    elif not port:
        port = _ask_port()
    graph = GraphOptions(
        robot=robot,
        model=model,
        models_dir=options.absolute(models_dir),
        mode=mode,
        port=port,
        camera=camera,
        save_frames=save_frames,
    )
    from ..running import run, SessionOptions

    return run(graph, SessionOptions(view=True))


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
            'no serial port was given',
            found=', '.join(port.device for port in found) or 'no ports',
            do='Give --port, or --robot sim to try it without a robot.',
        )
    if not found:
        print('No serial ports found. Is the board plugged in?')
    for number, port in enumerate(found, 1):
        print(f'{number}  {port.device}  {port.description}')
    return read_answer(str(click.prompt('Port (number or path)')), found)
