"""Creates a model with a trained encoder. The encoder of a model never changes after its creation."""

from collections.abc import Iterator
import contextlib
from pathlib import Path
import secrets

from cls_common.errors import UserError
from cls_common.resources import config_dir
from cls_common.robot import RobotInfo
from cls_learning.model_store.folder import ModelFolder
from cls_learning.runtime.config_resolution import resolve
from cls_learning.runtime.model_creation import create_model, new_config
from cls_perception.encoder import Encoder


@contextlib.contextmanager
def new_model(models_dir: Path, name: str) -> Iterator[ModelFolder]:
    """Opens the folder of a new model; raises UserError if a model of that name exists."""
    folder = ModelFolder(models_dir, name)
    try:
        if folder.config is not None:
            raise UserError(
                f'model {name!r}',
                expected='a new name: a model keeps the encoder it was made with',
                found='an existing model',
                do='Choose another model name.',
            )
        yield folder
    finally:
        folder.close()


def create(folder: ModelFolder, robot: RobotInfo, encoder: Encoder, preset: str, seed: int) -> None:
    """Creates the model.

    Args:
        preset: name of its preset; empty: none.
        seed: seed of its networks; -1: drawn.
    """
    settings, origins, _ = resolve(config_dir() / 'presets', preset, {})
    seed = seed if seed >= 0 else secrets.randbelow(2**31)
    create_model(folder, new_config(robot, encoder, seed, settings, origins, 'cls', {}), encoder)
