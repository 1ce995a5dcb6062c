"""Parameters of the player."""

from dataclasses import dataclass
from pathlib import Path

from cls_common.errors import UserError
from cls_common.settings import setting, Settings

from ..filters import ActionFilter

AS_FAST_AS_TAKEN = 0.0
_LOW, _HIGH = 0.1, 100.0
AUTO, REUSE, RECOMPUTE = 'auto', 'reuse', 'recompute'


def check_rate(rate: float) -> float:
    """Returns a rate, times real time; raises UserError unless it is 0 or 0.1 to 100."""
    if not (rate == AS_FAST_AS_TAKEN or _LOW <= rate <= _HIGH):
        raise UserError('rate', expected='0.1 to 100, or 0 for as fast as the learner takes it', found=f'{rate:g}')
    return rate


@dataclass(frozen=True, kw_only=True)
class PlayerSettings(Settings):
    """What is replayed, how fast, and to whom."""

    session: str = setting('', 'Folders of sessions, with commas between; a folder of sessions stands for all in it.')
    rate: float = setting(1.0, 'Times real time, 0.1 to 100; 0: as fast as the learner takes it.', low=0.0, high=_HIGH)
    loop: bool = setting(False, 'Begin anew at the end.')
    paused: bool = setting(False, 'Begin paused.')
    filter_action: str = setting('', 'KEY=VALUE: only actions of this value, such as pan=5; empty: all.')
    embeddings: str = setting(
        AUTO, 'Recorded ones (reuse) or images for the encoder (recompute); auto: recorded ones of the same encoder.',
        choices=(AUTO, REUSE, RECOMPUTE),
    )  # fmt: skip
    with_learner: bool = setting(True, 'Wait for a learner and its answers; false: play to whoever looks.')
    answer_timeout: float = setting(
        5.0, 'An action, image or question without an answer for this long is given up.', unit='s', low=0.1
    )
    exit_at_end: bool = setting(False, 'The process ends when everything was played.')

    def __post_init__(self) -> None:
        super().__post_init__()
        check_rate(self.rate)
        if self.loop and self.exit_at_end:
            raise UserError('loop and exit_at_end', expected='one of them: a loop has no end')

    @property
    def paths(self) -> list[Path]:
        """The folders named."""
        return [Path(part.strip()) for part in self.session.split(',') if part.strip()]

    @property
    def action_filter(self) -> ActionFilter | None:
        """The filter, or None; raises UserError where it makes no sense (row 001-086)."""
        return ActionFilter.parse(self.filter_action) if self.filter_action else None
