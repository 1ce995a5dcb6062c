"""Creates a model, the same way in the graph, in training and in replay."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from cls_common.robot import RobotInfo
from cls_perception.encoder import Encoder

from ..model_store.config_file import ModelConfig
from ..model_store.folder import ModelFolder
from .learner_session import make_online_learner


def new_config(
    robot: RobotInfo,
    encoder: Encoder | Mapping[str, Any] | None,
    seed: int,
    settings: Any,
    origins: dict[str, str],
    brain: str,
    vectors: Mapping[str, int],
    accepted_robots: tuple[str, ...] = (),
) -> ModelConfig:
    """Returns the config of a new model.

    Args:
        encoder: an encoder, or its config with `id`, `size` and `version`; None where the brain has no embedding.
        vectors: length of each vector input of the brain, by modality.
    """
    if isinstance(encoder, Encoder):
        encoder = {**encoder.config(), 'id': encoder.id, 'size': encoder.size, 'version': encoder.version}
    now = datetime.now().isoformat(timespec='seconds')
    return ModelConfig(robot, dict(encoder or {}), seed, settings, origins, now, accepted_robots, brain, dict(vectors))


def create_model(folder: ModelFolder, config: ModelConfig, encoder: Encoder | bytes | None) -> None:
    """Writes a new model with the weights of its encoder; raises UserError where its brain refuses the config."""
    make_online_learner(config)  # refuses a policy that can't act on this robot, before config.json exists
    weights = encoder.weights() if isinstance(encoder, Encoder) else encoder or b''
    folder.create(config, weights)
