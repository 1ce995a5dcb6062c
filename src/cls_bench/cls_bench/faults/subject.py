"""The subject of the trials: a brain on a simulated robot, in a graph and in one process."""

from dataclasses import dataclass
import json
from pathlib import Path

from cls_bringup.graph import GraphOptions
from cls_common.errors import UserError
from cls_common.overrides import by_node, RECIPE
from cls_learning.brain import find
from cls_learning.node_settings import DEFAULT_BRAIN
from cls_training.training import TrainOptions

# A small one; brains without embeddings do not use it.
ENCODER = 'early_resnet18'
# Steps of a run that ends only by an exception.
_UNLIMITED = 1 << 40


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A brain on a robot, with the settings of its models.

    Attributes:
        folder: holds the models. seed: of everything random in them.
        brain, robot: by name.
        settings: texts NAME=VALUE, as of `--set`; they override the brain's `short_cycles`.

    Raises:
        UserError: an unknown brain, or a robot that is not simulated.
    """

    folder: Path
    seed: int
    brain: str = DEFAULT_BRAIN
    robot: str = 'sim'
    settings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.graph('', lock_step=False).simulated:
            raise UserError('robot of the trials', expected='a simulated one', found=self.robot)

    @property
    def _settings(self) -> tuple[str, ...]:
        short = find(self.brain).short_cycles
        return (*(f'{name}={json.dumps(value)}' for name, value in short.items()), *self.settings)

    def graph(self, model: str, *, lock_step: bool) -> GraphOptions:
        """Returns the options of a graph with the named model."""
        return GraphOptions(
            robot=self.robot,
            brain=self.brain,
            model=model,
            models_dir=str(self.folder),
            lock_step=lock_step,
            seed=self.seed,
            encoder=ENCODER,
            settings=self._settings,
        )

    def training(self, model: str) -> TrainOptions:
        """Returns the options of an endless run in one process with the named model."""
        nodes = by_node(self._settings)
        return TrainOptions(
            robot=self.robot,
            brain=self.brain,
            model=model,
            models_dir=self.folder,
            steps=_UNLIMITED,
            seed=self.seed,
            encoder=ENCODER,
            overrides=nodes.get(RECIPE, {}),
            simulator=nodes.get('simulator', {}),
            encoder_settings=nodes.get('encoder', {}),
        )
