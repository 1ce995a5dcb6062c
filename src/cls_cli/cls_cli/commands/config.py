"""`config`: with what settings a model was made."""

import json
from pathlib import Path

import click

from .. import options


@click.group('config')
def command() -> None:
    """Show with what settings a model was made."""


@command.command('show')
@click.argument('model')
@options.models_dir
@click.option('--json', 'as_json', is_flag=True, help='One JSON object of values and origins.')
def show(model: str, models_dir: Path, as_json: bool) -> int:
    """Show every setting of MODEL and where it came from."""
    from cls_learning.model_store.listing import read_config

    config = read_config(options.model_folder(models_dir, model))
    if as_json:
        print(json.dumps(config, indent=2))
        return 0
    width = max((len(name) for name in config['values']), default=0)
    for name, value in config['values'].items():
        print(f'{name:<{width}}  {value!s:<20}  {config["origins"].get(name, "")}'.rstrip())
    return 0
