"""`report`: one HTML file about a model or a session."""

from datetime import datetime
from importlib.metadata import version
from pathlib import Path

import click

from cls_common import atomic_file
from cls_common.errors import UserError
from cls_recording.bag import is_session

from .. import options
from ..invocation import examples
from ..layers import require

_EXAMPLES = examples(
    './cls report dot',
    './cls report sessions/toroidal_dot/monday --model dot --output monday.html',
)


@click.command('report', epilog=_EXAMPLES)
@click.argument('target', metavar='MODEL|SESSION')
@click.option(
    '--model',
    default='',
    metavar='NAME',
    show_default='none',
    help='With a session, add what this model of the brain developmental makes of it.',
    shell_complete=options.complete_model,
)
@options.models_dir
@click.option(
    '--output',
    type=options.FILE,
    metavar='FILE',
    show_default='NAME.html in this folder',
    help='File to write. An existing one is replaced.',
)
def command(target: str, model: str, models_dir: Path, output: Path | None) -> int:
    """Write a report about MODEL or SESSION as one HTML file.

    A name is that of a model, a path that of a session. The file has its pictures inside and loads nothing, so it can
    be sent by e-mail. A model may be in use: what it last saved is shown. Some sections are for the brain developmental
    only; for others the report says what it leaves out.
    """
    session = Path(target)
    is_model = (models_dir / target / 'config.json').exists() or not session.exists()
    if is_model and model:
        raise UserError('--model', expected='a session beside it', found=f'the model {target!r}')
    if not is_model and not is_session(session):
        raise UserError(f'session {session}', expected='the folder of one session', found='another folder or file')
    output = output or Path(f'{session.resolve().name}.html')
    if not output.absolute().parent.is_dir():
        raise UserError(f'output {output}', expected='a path in an existing folder')
    require('bench')
    from cls_training.report.model_page import made_now, model_page
    from cls_training.report.page import render
    from cls_training.report.session_page import session_page

    made = made_now(version('cls_cli'), datetime.now())
    if is_model:
        page = model_page(options.model_folder(models_dir, target), made)
    else:
        page = session_page(session, made, models_dir, model)
    text = render(page)
    atomic_file.write_text(output, text)
    click.echo(f'{output}: {len(text.encode()) / 1e6:.1f} MB')
    return 0
