"""`hash`: whether two models have the same weights."""

from pathlib import Path

import click

from .. import options


@click.command('hash')
@click.argument('model')
@options.models_dir
def command(model: str, models_dir: Path) -> int:
    """Print the SHA-256 of the weights of MODEL as last saved."""
    from cls_learning.checkpoints.listing import weights_hash

    print(weights_hash(options.model_folder(models_dir, model)))
    return 0
