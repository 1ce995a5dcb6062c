"""The learners of a saved model, to look at or to experiment with: nothing of it is written."""

from collections import deque
from collections.abc import Iterator, Mapping
import contextlib
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from cls_common.errors import UserError
from cls_common.transition import Experience

from ..brain import Consolidator, OnlineLearner
from ..model_store.config_file import ModelConfig
from ..model_store.folder import ModelFolder
from .learner_session import LearnerSession, make_online_learner


@dataclass(frozen=True)
class ModelCopy:
    """A model as last saved, and what its journal has since.

    Attributes:
        config, online, consolidator: of the model. recent: its last experiences in the journal, oldest first.
    """

    config: ModelConfig
    online: OnlineLearner
    consolidator: Consolidator
    recent: tuple[Experience, ...]

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        """Networks by name, those that act rather than those that are trained; empty where its brain gives none."""
        return {**self.consolidator.networks(), **self.online.networks()}


@contextlib.contextmanager
def model_copy(path: Path, steps: int = 0) -> Iterator[ModelCopy]:
    """Opens the model folder `path`, which is locked in the block.

    Args:
        steps: number of last experiences to read, at most.

    Raises:
        UserError: it is no model, or in use, or damaged.
    """
    folder = ModelFolder(path.parent, path.name)
    try:
        if folder.config is None:
            raise UserError(f'folder {path}', expected='a model', found='no config.json')
        session = LearnerSession(folder)
        online = make_online_learner(folder.config)
        online.load_bytes(session.online_bytes)
        entries = folder.entries_since(folder.generation - 1)
        recent = deque((entry for entry in entries if isinstance(entry, Experience)), maxlen=steps)
        yield ModelCopy(folder.config, online, session.consolidator, tuple(recent))
    finally:
        folder.close()
