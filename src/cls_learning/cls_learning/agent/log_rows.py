"""What stands in the rows of training.log, by column."""

from typing import Any

from ..types import Experience
from .sleeping import Night, SleepingHalf

_VERDICT = {
    'probes': 'probes', 'skill_before': 'skill_before', 'skill_after': 'skill_after', 'fast_before': 'fast_before',
    'fast_after': 'fast_after', 'change': 'change', 'low': 'change_low', 'high': 'change_high',
}  # fmt: skip


def wake(half: SleepingHalf, experience: Experience, metrics: dict[str, float]) -> dict[str, Any]:
    """Returns a wake step's (row 000-075), with what Slow's step of it said."""
    nan = float('nan')
    return {
        'step': experience.sequence, 'fast_loss': experience.metrics.get('fast_loss', nan),
        'slow_distill': metrics.get('slow_distill', nan), 'slow_raw': metrics.get('slow_raw', nan),
        'curiosity_reward': experience.metrics.get('curiosity_reward', nan), 'replay_size': len(half.memory),
        'alarms': '; '.join(half.alarms),
    }  # fmt: skip


def sleep(half: SleepingHalf, night: Night) -> dict[str, Any]:
    """Returns a night's, kept or rolled back."""
    means, mornings = night.statistics.means, half.mornings
    judged = {column: getattr(night.verdict, name) for name, column in _VERDICT.items()}
    return {
        'step': half.sequence, 'sws_L_dyn': means['avg_l_dyn'], 'rem_L_ms': means['avg_l_ms'],
        'tether_loss': means['avg_tether_loss'], 'replay_size': len(half.memory), **judged,
        'forgetting': mornings.forgetting, 'action_use': mornings.action_use, 'alarms': '; '.join(half.alarms),
    }  # fmt: skip
