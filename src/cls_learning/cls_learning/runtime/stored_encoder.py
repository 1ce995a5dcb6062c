"""The eyes that an existing model was made with: it only ever runs with these (H1)."""

import json

from cls_common.errors import UserError
from cls_perception import encoders
from cls_perception.encoder import Encoder

from ..model_store.folder import ModelFolder


def load_stored_encoder(folder: ModelFolder, name: str, threads: int) -> Encoder:
    """Loads the encoder that lies in a created model's folder.

    Args:
        name: as asked for by a person; empty: whichever it is.
        threads: of one forward pass; 0: torch's own choice.

    Raises:
        UserError: another one was asked for.
    """
    stored = json.loads((folder.path / 'encoder' / 'config.json').read_text(encoding='utf-8'))
    if name not in ('', stored['name']):
        raise UserError(
            f'encoder for the existing model {folder.path.name!r}', expected=stored['name'], found=name,
            do='Leave it out, or choose another model name.',
        )  # fmt: skip
    return encoders.load(stored, (folder.path / 'encoder' / 'weights.safetensors').read_bytes(), threads=threads)
