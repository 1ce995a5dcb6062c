"""Loads the encoder of an existing model. A model runs only with the encoder it was made with."""

import json
from pathlib import Path

from cls_common.errors import UserError
from cls_perception import encoders
from cls_perception.encoder import Encoder


def load_stored_encoder(folder: Path, name: str, threads: int) -> Encoder:
    """Loads the encoder stored in the folder of a model.

    Args:
        name: requested by the user; empty: any.
        threads: of one forward pass; 0: PyTorch's default.

    Raises:
        UserError: another encoder was requested.
    """
    stored = json.loads((folder / 'encoder' / 'config.json').read_text(encoding='utf-8'))
    if name not in ('', stored['name']):
        raise UserError(
            f'encoder for the existing model {folder.name!r}',
            expected=stored['name'],
            found=name,
            do='Leave it out, or choose another model name.',
        )
    return encoders.load(stored, (folder / 'encoder' / 'weights.safetensors').read_bytes(), threads=threads)
