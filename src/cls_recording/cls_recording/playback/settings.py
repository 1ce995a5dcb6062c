"""Parameters of the player."""

from dataclasses import dataclass
from pathlib import Path

from cls_common.errors import UserError
from cls_common.settings import setting, Settings
from cls_common.transition import EMBEDDING

from ..filters import ActionFilter

AS_FAST_AS_POSSIBLE = 0.0
_LOW, _HIGH = 0.1, 100.0
AUTO, REUSE, RECOMPUTE = 'auto', 'reuse', 'recompute'


def check_rate(rate: float) -> float:
    """Returns a rate, times real time; raises UserError unless it is 0 or 0.1 to 100."""
    if not (rate == AS_FAST_AS_POSSIBLE or _LOW <= rate <= _HIGH):
        raise UserError('rate', expected='0.1 to 100, or 0 for as fast as the learner processes it', found=f'{rate:g}')
    return rate


@dataclass(frozen=True, kw_only=True)
class PlayerSettings(Settings):
    """Sessions to replay, rate, and form of observations."""

    session: str = setting(
        '', 'Comma-separated folders of sessions; a folder that contains sessions stands for all of them.'
    )
    rate: float = setting(
        1.0, 'Factor of real time, 0.1 to 100; 0: as fast as the learner processes it.', low=0.0, high=_HIGH
    )
    loop: bool = setting(False, 'Start over at the end.')
    paused: bool = setting(False, 'Start paused.')
    filter_action: str = setting(
        '', 'Replay only actions with this value, as CHANNEL=VALUE, such as pan=5; empty: all.'
    )
    embeddings: str = setting(
        AUTO,
        'Publish recorded ones (reuse) or images to the encoder (recompute); auto: reuse if of the same encoder.',
        choices=(AUTO, REUSE, RECOMPUTE),
    )
    senses: str = setting(
        EMBEDDING,
        'Comma-separated readings that the learner perceives: embedding, camera, or the modality of a vector.',
    )
    with_learner: bool = setting(True, 'Wait for a learner and its answers; false: publish without waiting.')
    answer_timeout: float = setting(
        5.0, 'Time to wait for the answer to an action, image or request.', unit='s', low=0.1
    )
    exit_at_end: bool = setting(False, 'End the process when all sessions were played.')

    def __post_init__(self) -> None:
        super().__post_init__()
        check_rate(self.rate)
        if not all(self.readings) or len(set(self.readings)) < len(self.readings):
            raise UserError('senses', expected='different names separated by commas', found=repr(self.senses))
        if self.embeddings == REUSE and EMBEDDING not in self.readings:
            raise UserError('embeddings', expected=f'{AUTO}, without {EMBEDDING} in senses', found=self.embeddings)
        if self.loop and self.exit_at_end:
            raise UserError('loop and exit_at_end', expected='one of them: a loop has no end')

    @property
    def paths(self) -> list[Path]:
        """The folders named."""
        return [Path(part.strip()) for part in self.session.split(',') if part.strip()]

    @property
    def readings(self) -> tuple[str, ...]:
        """Names of the readings that make an observation of the learner."""
        return tuple(name.strip() for name in self.senses.split(','))

    @property
    def action_filter(self) -> ActionFilter | None:
        """The filter, or None; raises UserError for an invalid one."""
        return ActionFilter.parse(self.filter_action) if self.filter_action else None
