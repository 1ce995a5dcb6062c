"""Rows of training.log, by column."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from cls_common.transition import Experience

from ...brain import SleepRun

if TYPE_CHECKING:
    from .consolidator import ClsConsolidator

Row = dict[str, float | int | str]
COLUMNS = (
    'fast_loss', 'slow_distill', 'slow_raw', 'curiosity_reward', 'sws_L_dyn', 'rem_L_ms', 'tether_loss', 'replay_size',
    # The gate on sleep (events sleep and rolled_back), and alarms.
    'probes', 'skill_before', 'skill_after', 'fast_before', 'fast_after', 'change', 'change_low', 'change_high',
    'forgetting', 'action_use', 'alarms',
)  # fmt: skip
_JUDGED = ('skill_before', 'skill_after', 'fast_before', 'fast_after', 'change', 'change_low', 'change_high')
_NAN = float('nan')


def wake(consolidator: 'ClsConsolidator', experience: Experience, metrics: Mapping[str, float]) -> Row:
    """Returns the row of a wake step; `metrics` are those of Slow."""
    return {
        'fast_loss': experience.metrics.get('fast_loss', _NAN),
        'slow_distill': metrics.get('slow_distill', _NAN),
        'slow_raw': metrics.get('slow_raw', _NAN),
        'curiosity_reward': experience.metrics.get('curiosity_reward', _NAN),
        'replay_size': len(consolidator.memory),
        'alarms': '; '.join(consolidator.alarms),
    }


def sleep(consolidator: 'ClsConsolidator', run: SleepRun) -> Row:
    """Returns the row of a sleep, kept or rolled back."""
    means, judged, history = run.statistics.means, run.verdict.metrics, consolidator.history
    return {
        'sws_L_dyn': means['avg_l_dyn'],
        'rem_L_ms': means['avg_l_ms'],
        'tether_loss': means['avg_tether_loss'],
        'replay_size': len(consolidator.memory),
        'probes': int(judged.get('held_out', 0)),
        **{name: judged.get(name, _NAN) for name in _JUDGED},
        'forgetting': history.forgetting,
        'action_use': history.action_use,
        'alarms': '; '.join(consolidator.alarms),
    }
