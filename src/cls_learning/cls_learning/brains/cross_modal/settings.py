"""The recipe of the brain `cross_modal`."""

from dataclasses import dataclass

from cls_common.settings import group, plugin_group, PluginSettings, setting, Settings

from ...config import ObservationMemorySettings
from ...evaluation.change_detection import ChangeDetectionSettings
from ...penalties.settings import AnchorSettings
from ...registries import OBJECTIVES
from .network import FEEDBACK

ACTORS = ('trained', 'untrained', 'random')


@dataclass(frozen=True, kw_only=True)
class NetworkSettings(Settings):
    hidden: int = setting(128, 'Units of each layer, a multiple of `heads`.', low=1)
    heads: int = setting(4, 'Heads of the attention between senses.', low=1)
    feedback: float = setting(
        FEEDBACK, 'Share of the internal state before that is added to the fused senses.', low=0.0, high=1.0
    )
    blend: float = setting(
        0.0, 'Share of the prediction in what is perceived; 0.5 for a robot that senses late.', low=0.0, high=1.0
    )
    step_duration: float = setting(
        0.0,
        'Nominal duration of a step: how much longer or shorter each step took, by its stamps, is an input. 0: none.',
        unit='s',
        low=0.0,
    )


@dataclass(frozen=True, kw_only=True)
class FastSettings(Settings):
    objective: str = setting(
        'prediction',
        'What Fast learns, by the name of its file in objectives/. prediction: the next readings of all senses; '
        'stability: that actions vary little, as in the original.',
    )
    plugins: PluginSettings = plugin_group(OBJECTIVES, 'objective')
    learning_rate: float = setting(3e-3, 'Learning rate of Adam, every wake step.', low=0.0)
    gradient_norm: float = setting(1.0, 'Norm to which gradients are clipped; 0: no clipping.', low=0.0)
    average: float = setting(0.99, 'Decay of the averaged weights that sleep consolidates.', low=0.0, high=0.9999)
    scale_steps: int = setting(100, 'First steps, by which mean and spread of each sense are known.', low=2)


@dataclass(frozen=True, kw_only=True)
class ActorSettings(Settings):
    kind: str = setting(
        'trained',
        'trained: towards predicted reward, or disagreement of both learners where the robot gives none; untrained: '
        'as in the original; random.',
        choices=ACTORS,
    )
    learning_rate: float = setting(1e-3, 'Learning rate of Adam for the actions.', low=0.0)
    noise: float = setting(0.3, 'Spread of exploration, share of the range of an action.', low=0.0)
    warmup: int = setting(100, 'First steps of a model, in which actions are random.', low=0)


@dataclass(frozen=True, kw_only=True)
class SensesSettings(Settings):
    is_watched: bool = setting(True, 'A sense that is stuck or gives noise is left out until it changes as usual.')
    dropout: float = setting(0.1, 'Share of the windows in sleep in which one sense is left out.', low=0.0, high=1.0)
    is_covered: bool = setting(
        False,
        'What is expected of a sense that is left out is corrected by how far the others are from what was expected of '
        'them, linearly; learned asleep, from the windows of `dropout`.',
    )
    threshold: float = setting(
        6.0, 'Mean squared change of a sense, as a share of the usual, above which it is noise.', low=1.0
    )
    disagreement: float = setting(
        0.0,
        'Error of a sense, as a share of the usual, above which it is left out while the others are predicted as usual '
        'without it, by Slow; it costs one step more of Slow. 0: not watched.',
        low=0.0,
    )
    patience: int = setting(5, 'Steps in a row after which a sense is left out or heeded again.', low=1)


@dataclass(frozen=True, kw_only=True)
class DetectorSettings(ChangeDetectionSettings):
    detector: str = setting('adwin', 'test of the standardised error', choices=('page_hinkley', 'adwin'))


@dataclass(frozen=True, kw_only=True)
class ChangeSettings(Settings):
    is_watched: bool = setting(
        True, 'A change of the world ends the cycle: what was learned before it is consolidated.'
    )
    detector: DetectorSettings = group(DetectorSettings)


@dataclass(frozen=True, kw_only=True)
class MemorySettings(ObservationMemorySettings):
    capacity: int = setting(1000, 'Most transitions kept to learn from; as many again to judge sleeps by.', low=32)
    keep: str = setting(
        'spread',
        'Kept at a limit, where an episode is a world between two changes that were found. newest: the newest '
        'transitions; balanced: the newest of each episode, equally many; spread: segments of all times of each '
        'episode, equally many.',
        choices=('newest', 'balanced', 'spread'),
    )


@dataclass(frozen=True, kw_only=True)
class SleepAnchorSettings(AnchorSettings):
    penalty: str = setting(
        '',
        'Penalty that holds important weights near those after the last sleep, by the name of its file in penalties/; '
        'empty: none, and no phase `anchor`.',
    )
    samples: int = setting(50, 'Windows of memory by which the importance of weights is measured.', low=1)


@dataclass(frozen=True, kw_only=True)
class SleepSettings(Settings):
    wake_steps_per_cycle: int = setting(500, 'Wake steps after which sleep starts by itself.', low=1)
    learning_rate: float = setting(1.5e-3, 'Learning rate of Adam in sleep.', low=0.0)
    batch_size: int = setting(16, 'Windows of each teacher in an update.', low=1)
    window: int = setting(8, 'Steps of a window.', low=2)
    dream_steps: int = setting(60, 'Updates on dreams of both teachers.', low=1)
    dream_real: float = setting(
        0.5, 'Share of a window whose targets are real readings, its start; the rest is dreamed.', low=0.0, high=1.0
    )
    max_duration: float = setting(300.0, 'A sleep that takes longer is rolled back.', unit='s', low=1.0)
    gate: bool = setting(True, 'A sleep after which held-out windows are predicted worse is rolled back.')
    anchor: SleepAnchorSettings = group(SleepAnchorSettings)


@dataclass(frozen=True, kw_only=True)
class CrossModalSettings(Settings):
    """The whole recipe of a model."""

    senses: str = setting(
        '', 'What is perceived: vectors by modality or `embedding`, separated by spaces; empty: all vectors.'
    )
    save_interval: int = setting(1, 'Sleeps from one save to the next; 0: only on request.', low=0)
    network: NetworkSettings = group(NetworkSettings)
    fast: FastSettings = group(FastSettings)
    actor: ActorSettings = group(ActorSettings)
    watch: SensesSettings = group(SensesSettings)
    change: ChangeSettings = group(ChangeSettings)
    memory: MemorySettings = group(MemorySettings)
    sleep: SleepSettings = group(SleepSettings)
