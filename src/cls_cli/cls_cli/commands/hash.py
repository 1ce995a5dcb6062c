"""`hash`: whether two models have the same weights."""

from pathlib import Path

import click

from cls_common.errors import UserError

from .. import options


@click.command('hash')
@click.argument('model')
@options.models_dir
def command(model: str, models_dir: Path) -> int:
    """Print the SHA-256 of the weights of MODEL as last saved."""
    from cls_learning.model_store.listing import weights_hash

    value = weights_hash(options.model_folder(models_dir, model))
    if not value:
        raise UserError(f'model {model!r} was never saved', do='`./cls save` while it runs.')
    print(value)
    return 0
