"""Settings that all penalties share, and those of the sleep phase that anchors. No PyTorch here."""

from dataclasses import dataclass

from cls_common.settings import plugin_group, PluginSettings, setting, Settings

from ..registries import PENALTIES


@dataclass(frozen=True, kw_only=True)
class PenaltySettings(Settings):
    """Base of the settings of a penalty; a subclass adds its own and may change defaults."""

    weight: float = setting(
        0.03, 'Lambda. The penalty is half of it times the importance times the squared change of weights.', low=0.0
    )
    normalise: bool = setting(
        True, 'The importance is divided by its mean over weights, so that one lambda fits every form and network.'
    )
    tasks: str = setting(
        'online',
        'Several anchors. online: the newest anchor with a decayed sum of importance; sum: the sum of their penalties; '
        'reference: the newest alone, with the whole of lambda in place of its half, as in the original system.',
        choices=('online', 'sum', 'reference'),
    )
    decay: float = setting(
        0.9, 'Factor of older importance at a new anchor, where `tasks` is online.', low=0.0, high=1.0
    )


@dataclass(frozen=True, kw_only=True)
class AnchorSettings(Settings):
    """Which penalty anchors weights, and by how many samples."""

    penalty: str = setting('ewc', 'Penalty on changes of important weights, by the name of its file in penalties/.')
    samples: int = setting(50, 'Transitions of memory by which the importance of weights is measured.', low=1)
    plugins: PluginSettings = plugin_group(PENALTIES, 'penalty')


@dataclass(frozen=True, kw_only=True)
class AnchorPhaseSettings(AnchorSettings):
    """Settings of the sleep phase `anchor` of `consolidation/`."""

    when: str = setting(
        'always',
        'always: in every sleep; change: in the first sleep, and in one before which a change of the world was found.',
        choices=('always', 'change'),
    )
