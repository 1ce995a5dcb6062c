"""What the consolidator's side asks of the online learner's side, as plain data."""

from dataclasses import dataclass, field
from typing import Protocol

from cls_common.errors import UserError
from cls_common.transition import Experience

from ..model_store.config_file import ModelConfig


class NoAnswerError(UserError):
    """The other side did not answer in time."""


@dataclass(frozen=True)
class OnlineState:
    """State of the online learner, as it runs.

    Attributes:
        loaded: whether it has weights; without them the rest is empty.
        model, run_id: what it was loaded with. sequence: of its last experience. data: safetensors.
    """

    loaded: bool = False
    model: str = ''
    run_id: str = ''
    sequence: int = 0
    data: bytes = b''


@dataclass(frozen=True)
class SentExperiences:
    """Experiences after a requested sequence that are still held, a part at a time.

    Attributes:
        run_id: of the newest held; empty where none is held. oldest, newest: sequences held.
        settled: no further experience will come while acting is held.
    """

    run_id: str = ''
    oldest: int = 0
    newest: int = 0
    settled: bool = False
    experiences: list[Experience] = field(default_factory=list)


class LearnerLink(Protocol):
    """Blocking calls, each raising NoAnswerError after its patience in s."""

    def get_state(self, patience: float = 5.0) -> OnlineState:
        """Returns the whole state."""
        ...

    def load_state(self, run_id: str, model: str, config: ModelConfig, data: bytes, last: Experience | None) -> None:
        """Loads the state of a model; raises UserError where it is refused.

        Args:
            data: safetensors. last: experience from which the chain continues.
        """
        ...

    def get_experiences(self, after: int, patience: float = 2.0, *, hold: float = 0.0) -> SentExperiences:
        """Returns experiences after a sequence; `hold`: s for which acting is held, since this side ends."""
        ...
