"""Opens or creates the model of a replay, and finds the encoder of the recorded sessions."""

from collections.abc import Mapping, Sequence
from pathlib import Path
import secrets
from typing import Any

from cls_common import comms
from cls_common.errors import UserError
from cls_common.resources import config_dir
from cls_common.robot import RobotInfo
from cls_common.transition import JOINTS
from cls_learning.brain import inputs_of
from cls_learning.model_store.folder import ModelFolder
from cls_learning.node_settings import choose_brain
from cls_learning.runtime.config_resolution import check_against, resolve
from cls_learning.runtime.model_creation import create_model, new_config
from cls_learning.runtime.stored_encoder import load_stored_encoder
from cls_perception import encoders
from cls_perception.encoder import Encoder
from cls_perception.settings import EncoderSettings
from cls_recording.reader import SessionReader
from cls_recording.steps import missing

NONE: Mapping[str, Any] = {}


def open_model(
    folder: ModelFolder, paths: Sequence[Path], encoder: str, preset: str, overrides: Mapping[str, Any], seed: int,
    accept_robot: bool = False, brain: str = '', encoder_settings: Mapping[str, Any] = NONE,
) -> Encoder | None:  # fmt: skip
    """Creates the model of the first session's robot and encoder, or checks the existing one; returns its encoder.

    Args:
        encoder, preset, overrides, seed, brain, encoder_settings: see `ReplayOptions`.
        accept_robot: accepts robots of other names with the same actions and joints.

    Raises:
        UserError: an option or a session's robot differs from the existing model, or a session lacks what is needed.
    """
    chosen = choose_brain({'models_dir': str(folder.path.parent), 'model': folder.path.name, 'brain': brain})
    settings, origins, asked = resolve(config_dir() / 'presets', preset, overrides, chosen)
    if folder.config is not None:
        check_against(folder.config.settings, asked, folder.path.name)
        if seed not in (-1, folder.config.seed):
            raise UserError(
                f'seed of the existing model {folder.path.name!r}',
                expected=f'{folder.config.seed}, as in its config.json',
                found=str(seed),
                do='Leave it out, or choose another model name.',
            )
        for robot in _robots(paths):
            if accept_robot:
                folder.accept_robot(robot)
            folder.config.check_robot(robot)
        return load_stored_encoder(folder.path, encoder, threads=1) if folder.config.encoder else None
    robots = _robots(paths)
    inputs = inputs_of(chosen, settings, robots[0])
    with SessionReader(paths[0]) as reader:
        seed = seed if seed >= 0 else secrets.randbelow(2**31)
        needs_encoder = any(each.kind == 'embedding' for each in inputs)
        own = _new_encoder(reader, encoder, seed, encoder_settings) if needs_encoder else None
        vectors = {
            each.name: len(robots[0].joint_names) if each.name == JOINTS else _length(reader, each.name)
            for each in inputs if each.kind == 'vector'
        }  # fmt: skip
    accepted = tuple(dict.fromkeys(r.name for r in robots if r.name != robots[0].name)) if accept_robot else ()
    config = new_config(robots[0], own, seed, settings, origins, chosen.name, vectors, accepted)
    for robot in robots:
        config.check_robot(robot)
    create_model(folder, config, own)
    return own


def _robots(paths: Sequence[Path]) -> list[RobotInfo]:
    robots = []
    for path in paths:
        with SessionReader(path) as reader:
            robot = reader.robot()
            if robot is None:
                raise missing(reader, [comms.ROBOT_INFO.name])
            robots.append(robot)
    return robots


def _new_encoder(reader: SessionReader, name: str, seed: int, chosen: Mapping[str, Any]) -> Encoder:
    """Makes the encoder `name`, empty: the recorded one; the recorded one gets its recorded seed and size."""
    recorded = reader.info.encoder or {}
    name = name or str(recorded.get('name', ''))
    if not name:
        raise UserError(
            f'session {reader.path}',
            expected='the encoder it was recorded with',
            found='none',
            do='Give --encoder, such as retina: embeddings are then computed from the images.',
        )
    is_vector = encoders.find(name).vectors
    size = int(recorded.get('size', 0)) if recorded.get('name') == name else 0
    modality = str(recorded.get('modality', 'state'))
    if is_vector and not size:
        size, modality = _first_observation(reader)
    own_seed = int(recorded.get('seed', seed)) if recorded.get('name') == name else seed
    settings = EncoderSettings.from_flat({'name': name, 'seed': own_seed, 'threads': 1, **chosen})
    return encoders.make(settings, size=size, modality=modality)


def _first_observation(reader: SessionReader) -> tuple[int, str]:
    for topic in reader.topics:
        if topic.startswith(comms.OBSERVATION_PREFIX):
            modality = topic.removeprefix(comms.OBSERVATION_PREFIX)
            return _length(reader, modality), modality
    raise missing(reader, [comms.OBSERVATION_PREFIX + '<modality>'])


def _length(reader: SessionReader, modality: str) -> int:
    event = next(reader.events([comms.OBSERVATION_PREFIX + modality]), None)
    if event is None:
        raise missing(reader, [comms.OBSERVATION_PREFIX + modality])
    return len(event.message.data)
