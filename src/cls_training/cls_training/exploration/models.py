"""Saved models to look at: which fit a robot, and what one has learned. They are read without their lock."""

from dataclasses import dataclass
from pathlib import Path
import shutil

import numpy as np
from torch import nn

from cls_common.errors import UserError
from cls_common.robot import RobotInfo
from cls_common.transition import Transition
from cls_learning import state_bytes
from cls_learning.brain import Consolidator, ONLINE, OnlineLearner
from cls_learning.brains.developmental.consolidator import DevelopmentalConsolidator
from cls_learning.brains.developmental.model import DevelopmentalModel, Steps
from cls_learning.brains.developmental.online_learner import DevelopmentalOnlineLearner
from cls_learning.brains.developmental.training import draw_steps
from cls_learning.model_store.config_file import ModelConfig
from cls_learning.model_store.folder import ModelFolder
from cls_learning.model_store.generations import Manifest
from cls_learning.runtime.learner_session import make_online_learner

from ..evaluation import newest_generation, read_config

# Not of the model itself: the lock, and who holds it.
_OF_ITS_PROCESS = ('lock', 'owner.json')


@dataclass(frozen=True)
class SavedModel:
    """A model as last saved.

    Attributes:
        folder: of the model. config, manifest: of the model, and of the generation that was read.
        online, consolidator: its learners.
    """

    folder: Path
    config: ModelConfig
    manifest: Manifest
    online: OnlineLearner
    consolidator: Consolidator


@dataclass(frozen=True)
class WeightStatistics:
    """Weights of a network: their number, mean, deviation and largest size, and the L2 norm of all.

    Attributes:
        change: norm of the difference to other weights, as a share of theirs; NaN without any.
    """

    count: int
    mean: float
    std: float
    largest: float
    norm: float
    change: float = float('nan')


def read_saved(folder: Path) -> SavedModel:
    """Reads a model as last saved; it may be in use.

    Raises:
        UserError: it is missing, damaged or was never saved.
    """
    config = read_config(folder)
    manifest, parts = newest_generation(folder)
    online = make_online_learner(config)
    online.load_bytes(parts.pop(ONLINE))
    consolidator = config.brain.make_consolidator(config, 'cpu')
    with state_bytes.refusing('state of the consolidator'):
        consolidator.load({name: state_bytes.unpack(data, name) for name, data in parts.items()})
    return SavedModel(folder, config, manifest, online, consolidator)


def models_for(robot: RobotInfo, models_dir: Path) -> list[str]:
    """Returns the names of the models that learn on a robot, newest first; those that can't be read are left out."""
    found = []
    for path in models_dir.glob('*/config.json'):
        try:
            config = read_config(path.parent)
            config.check_robot(robot)
        except UserError:
            continue
        found.append((config.created_at, path.parent.name))
    return [name for _, name in sorted(found, reverse=True)]


def copy_model(source: Path, target: Path) -> Path:
    """Copies a model that is not in use to a new folder, to experiment with; returns the new folder.

    Raises:
        UserError: there is no such model, it is in use, or the new folder exists.
    """
    read_config(source)
    if target.exists():
        raise UserError(f'model {target}', expected='a new name', found='an existing folder')
    lock = ModelFolder(source.parent, source.name)
    try:
        shutil.copytree(source, target, ignore=shutil.ignore_patterns(*_OF_ITS_PROCESS))
    finally:
        lock.close()
    return target


def networks_of(saved: SavedModel) -> DevelopmentalModel:
    """Returns the networks that act, of the brain `developmental`; raises UserError for another brain."""
    return learner_of(saved).fast


def learner_of(saved: SavedModel) -> DevelopmentalOnlineLearner:
    """Returns the online learner of the brain `developmental`; raises UserError for another brain."""
    if not isinstance(saved.online, DevelopmentalOnlineLearner):
        raise UserError(
            f'model {saved.folder.name!r}', expected="the brain 'developmental', which predicts pictures",
            found=f'the brain {saved.config.brain_name!r}',
        )  # fmt: skip
    return saved.online


def as_steps(saved: SavedModel, *windows: tuple[Transition, ...]) -> Steps:
    """Returns windows of equally many consecutive steps as the networks take them.

    Raises:
        UserError: a model of another brain, or no step that it can learn from.
    """
    return learner_of(saved).steps_of(windows)


def remembered(saved: SavedModel, count: int, history: int, seed: int = 0) -> tuple[Steps, str]:
    """Draws at most `count` windows of steps from what the model keeps.

    Returns:
        the windows, and where they are from: steps that no sleep learned from, if there are any.

    Raises:
        UserError: the model keeps too few steps.
    """
    learner, keeper = learner_of(saved), saved.consolidator
    assert isinstance(keeper, DevelopmentalConsolidator)
    places = {'steps held out from sleep': keeper.held_out, 'steps that sleep learned from': keeper.memory}
    for name, memory in places.items():
        if memory.window_count(history):
            return draw_steps(memory, count, history, learner.code, np.random.default_rng(seed)), name
    raise UserError(f'model {saved.folder.name!r}', expected=f'{history} steps in a row in memory', found='fewer')


def weight_statistics(
    networks: dict[str, nn.Module], before: dict[str, nn.Module] | None = None
) -> dict[str, WeightStatistics]:
    """Returns statistics of the weights of networks by name.

    Args:
        before: the same networks with other weights, to which the change is measured.
    """
    found = {}
    for name, network in networks.items():
        weights = nn.utils.parameters_to_vector(network.parameters()).detach()
        change = float('nan')
        if before is not None:
            old = nn.utils.parameters_to_vector(before[name].parameters()).detach()
            change = float((weights - old).norm() / old.norm().clamp(min=1e-12))
        found[name] = WeightStatistics(
            len(weights), float(weights.mean()), float(weights.std()), float(weights.abs().max()),
            float(weights.norm()), change,
        )  # fmt: skip
    return found
