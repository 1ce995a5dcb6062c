"""Selects the encoder of a model: from its files, for a new model from the settings."""

import json
from pathlib import Path
from typing import Any, Final

from cls_common.errors import UserError

from . import encoders
from .settings import EncoderNodeSettings, EncoderSettings

FOLDER: Final = 'encoder'
CONFIG_FILE: Final = 'config.json'
WEIGHTS_FILE: Final = 'weights.safetensors'


def from_model(settings: EncoderNodeSettings) -> encoders.Encoder | None:
    """Returns the encoder saved in `<models_dir>/<model>/encoder`, or None for a model that has none.

    Raises:
        UserError: it was made with another encoder than the requested one, or its files are damaged.
    """
    folder = Path(settings.models_dir).expanduser() / settings.model / FOLDER
    config_file, weights_file = folder / CONFIG_FILE, folder / WEIGHTS_FILE
    try:
        if not config_file.exists() and not weights_file.exists():
            return None
        config = json.loads(config_file.read_text(encoding='utf-8'))
        weights = weights_file.read_bytes()
    except (OSError, ValueError) as error:
        raise UserError(
            f'encoder of model {settings.model!r}',
            expected=f'{CONFIG_FILE} and {WEIGHTS_FILE} in {folder}',
            found=str(error),
            do='Restore them, or start a new model.',
        ) from error
    found = config.get('name') if isinstance(config, dict) else None
    if settings.encoder and settings.encoder != found:
        raise UserError(
            f'model {settings.model!r} was made with encoder {found!r}',
            found=f'{settings.encoder!r} requested',
            do='Leave `encoder` empty, or start a new model: embeddings of two encoders do not mix.',
        )
    return encoders.load(config, weights, threads=settings.threads, device=settings.device)


def settings_of(encoder: encoders.Encoder | None) -> dict[str, Any]:
    """Returns the parameters of the node `encoder` that an existing encoder determines, by name; none without one."""
    if encoder is None:
        return {}
    config = encoder.config()
    names = {name for name, _ in EncoderNodeSettings.leaves()}
    return {'encoder': config['name'], **{name: value for name, value in config.items() if name in names}}


def for_new_model(settings: EncoderNodeSettings) -> EncoderSettings:
    """Returns the settings of a new model's encoder: the requested one, else the default."""
    return EncoderSettings(
        name=settings.encoder or settings.default_encoder,
        seed=settings.seed,
        weights=settings.weights,
        backend=settings.backend,
        threads=settings.threads,
        device=settings.device,
        plugins=settings.plugins,
    )
