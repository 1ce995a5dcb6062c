"""The model that a replay learns into, and the eyes it sees the recording with."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
import secrets
from typing import Any

from cls_common import comms
from cls_common.errors import UserError
from cls_common.resources import config_dir
from cls_perception import encoders
from cls_perception.encoder import Encoder
from cls_perception.settings import EncoderSettings
from cls_recording.reader import SessionReader

from ..checkpoints.config_file import ModelConfig
from ..checkpoints.folder import ModelFolder
from .cortex import make_waking_half
from .recipe import check_against, resolve
from .recorded import missing
from .stored_encoder import load_stored_encoder


def open_model(
    folder: ModelFolder, paths: Sequence[Path], encoder: str, preset: str, overrides: Mapping[str, Any], seed: int
) -> Encoder:
    """Creates the model of the first session's robot and eyes, or checks the existing one; returns its encoder.

    Raises:
        UserError: what was asked for differs from the existing model, or the session does not say what is needed.
    """
    settings, origins, asked = resolve(config_dir() / 'presets', preset, overrides)
    if folder.config is not None:
        check_against(folder.config.settings, asked, folder.path.name)
        if seed not in (-1, folder.config.seed):
            raise UserError(
                f'seed of the existing model {folder.path.name!r}',
                expected=f'{folder.config.seed}, as in its config.json', found=str(seed),
                do='Leave it out, or choose another model name.',
            )  # fmt: skip
        return load_stored_encoder(folder, encoder, threads=1)
    with SessionReader(paths[0]) as reader:
        robot = reader.info.robot
        if robot is None:
            raise missing(reader, [comms.ROBOT_INFO.name])
        seed = seed if seed >= 0 else secrets.randbelow(2**31)
        eyes = _new_encoder(reader, encoder, seed)
    stored = {**eyes.config(), 'id': eyes.id, 'size': eyes.size, 'version': eyes.version}
    config = ModelConfig(robot, stored, seed, settings, origins, datetime.now().isoformat(timespec='seconds'))
    make_waking_half(config)  # refuses a policy that can't act on this robot, before it is frozen
    folder.create(config, eyes.weights())
    return eyes


def _new_encoder(reader: SessionReader, name: str, seed: int) -> Encoder:
    """Makes the encoder that recorded, where its weights follow from its settings; else the one that was named."""
    recorded = reader.info.encoder or {}
    name = name or str(recorded.get('name', ''))
    if not name:
        raise UserError(
            f'session {reader.path}', expected='the encoder it was recorded with', found='none',
            do='Give --encoder, such as early_resnet18: embeddings are then made anew from the images.',
        )  # fmt: skip
    is_vector = encoders.find(name).vectors
    size = int(recorded.get('size', 0)) if recorded.get('name') == name else 0
    modality = str(recorded.get('modality', 'state'))
    if is_vector and not size:
        size, modality = _first_observation(reader)
    own_seed = int(recorded.get('seed', seed)) if recorded.get('name') == name else seed
    return encoders.make(EncoderSettings(name=name, seed=own_seed, threads=1), size=size, modality=modality)


def _first_observation(reader: SessionReader) -> tuple[int, str]:
    for topic in reader.topics:
        if topic.startswith(comms.OBSERVATION_PREFIX):
            event = next(reader.events([topic]))
            return len(event.message.data), str(event.message.modality)
    raise missing(reader, [comms.OBSERVATION_PREFIX + '<modality>'])
