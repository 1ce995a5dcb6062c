"""Every number of the learning recipe, in one place (row 000-109).

The defaults are the `default` recipe (learning probe, sections 8 and 11, in its simplest form).
`config/presets/reference.param.yaml` turns it into the recipe of the reference system (rows 000-013 to 000-068).
"""

from dataclasses import dataclass

from cls_common.settings import group, plugin_group, PluginSettings, setting, Settings

from .registries import MEMORIES, PHASES, POLICIES, REWARDS, WORLD_MODELS


@dataclass(frozen=True, kw_only=True)
class NetworkSettings(Settings):
    world_model: str = setting('film', 'Kind of world model, by the name of its file in world_models/.')
    fast_hidden: int = setting(256, 'Units of the hidden layer of Fast (row 000-015).', low=1)
    slow_hidden: int = setting(1024, 'Units of each of the two hidden layers of Slow (row 000-016).', low=1)
    residual: bool = setting(True, 'Networks predict the change of z, starting at no change.')
    gradient_norm: float = setting(1.0, 'Gradients are clipped to this norm; 0: never (row 000-049).', low=0.0)
    action_scaling: str = setting(
        'unit', 'Actions enter the networks in [-1, 1], or raw in robot units.', choices=('unit', 'raw')
    )
    plugins: PluginSettings = plugin_group(WORLD_MODELS, 'world_model')


@dataclass(frozen=True, kw_only=True)
class NormalizerSettings(Settings):
    kind: str = setting(
        'running',
        'running: mean per dimension and one scale for all; identity: none.',
        choices=('running', 'identity'),
    )
    clip: float = setting(10.0, 'Normalised values are clipped to +- this.', low=1.0)
    fold: bool = setting(True, 'A new snapshot is folded into all weights, so that networks keep what they know.')


@dataclass(frozen=True, kw_only=True)
class FastSettings(Settings):
    learning_rate: float = setting(3e-4, 'Adam, every wake step (row 000-017).', low=0.0)
    recent: int = setting(15, 'Recent transitions beside the new one in each batch.', low=0)
    older: int = setting(16, 'Transitions from longer ago in each batch.', low=0)
    ring: int = setting(500, 'Recent transitions kept by the waking half.', low=1)
    reservoir: int = setting(500, 'Transitions from longer ago kept by the waking half.', low=0)
    average: float = setting(
        0.98, 'Decay of the averaged weights that act and are scored; 0: the raw ones.', low=0.0, high=0.9999
    )


@dataclass(frozen=True, kw_only=True)
class SlowSettings(Settings):
    wake_learning_rate: float = setting(3e-5, 'Adam, awake (row 000-018).', low=0.0)
    wake_distill_weight: float = setting(0.1, 'Weight of the error against Fast (row 000-025).', low=0.0)
    wake_raw_weight: float = setting(1.0, 'Weight of the error against the real embedding (row 000-026).', low=0.0)
    wake_interval: int = setting(1, 'Wake steps from one update to the next (row 000-027).', low=1)
    average: float = setting(
        0.99,
        'Decay of the averaged weights that act, are scored and teach Fast; 0: the raw ones.',
        low=0.0,
        high=0.9999,
    )


@dataclass(frozen=True, kw_only=True)
class MemorySettings(Settings):
    scene_jump: float = setting(
        0.4, 'A new episode begins where views of known poses jump by this share of unrelated views; 0: never.',
        low=0.0,
    )  # fmt: skip
    kind: str = setting(
        'pieces', 'Replay memory, by the name of its file in memory/. pieces: balanced over episodes; fifo: the newest.'
    )
    capacity: int = setting(5000, 'Transitions kept for sleep (row 000-051).', low=32)
    piece_length: int = setting(
        3, 'Consecutive transitions that are kept or dropped together, at least rem_k: shorter ones show more views.',
        low=1,
    )  # fmt: skip
    plugins: PluginSettings = plugin_group(MEMORIES, 'kind')


@dataclass(frozen=True, kw_only=True)
class ObservationMemorySettings(Settings):
    """Limits of an ObservationMemory: a group in the settings of a brain that has one."""

    capacity: int = setting(100_000, 'Transitions kept at most.', low=1)
    max_bytes: int = setting(250_000_000, 'Bytes of their arrays kept at most.', unit='B', low=1)
    keep: str = setting(
        'newest', 'What is kept at a limit. newest: of all; balanced: the newest of every episode, as many of each.',
        choices=('newest', 'balanced'),
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class SleepSettings(Settings):
    wake_steps_per_cycle: int = setting(
        500, 'Wake steps after which sleep starts by itself (row 000-028); of more than fast.ring, some are missed.',
        low=1,
    )  # fmt: skip
    phases: str = setting('sws rem tether', 'Phases in order, by the names of their files in consolidation/.')
    learning_rate: float = setting(2e-4, 'Adam of Slow, asleep (row 000-019).', low=0.0)
    batch_size: int = setting(32, 'Samples of each step, without replacement (row 000-045).', low=1)
    sws_steps: int = setting(200, 'Optimiser steps of slow-wave sleep (row 000-033).', low=1)
    sws_alpha: float = setting(1.0, 'Weight of the distillation loss (row 000-034).', low=0.0)
    sws_target: str = setting(
        'gated',
        'fast: what Fast says; gated: mixed with the real embedding by how good Fast is.',
        choices=('fast', 'gated'),
    )
    gate_max: float = setting(0.5, 'Largest share of Fast in a gated target.', low=0.0, high=1.0)
    virtual_share: float = setting(
        0.8, 'Share of the batches of SWS and REM from walks over remembered frames, where the scene stands still.',
        low=0.0, high=1.0,
    )  # fmt: skip
    rem_steps: int = setting(200, 'Optimiser steps of REM (row 000-037).', low=1)
    rem_k: int = setting(3, 'Steps of each dream (row 000-038).', low=1)
    rem_gamma: float = setting(0.5, 'Weight of the dream loss (row 000-039).', low=0.0)
    rem_reduction: str = setting('mean', 'Over the K steps of a dream (row 000-040).', choices=('mean', 'sum'))
    rem_anchor: float = setting(1.0, 'Weight of the one-step error on real transitions in REM.', low=0.0)
    tether_steps: int = setting(10, 'Optimiser steps in which Fast follows Slow (row 000-043).', low=1)
    tether_learning_rate: float = setting(1e-3, 'Adam of Fast in Tether (row 000-044).', low=0.0)
    max_duration: float = setting(300.0, 'A night longer than this is rolled back.', unit='s', low=1.0)
    gate: bool = setting(True, 'A night that did harm on the probes is rolled back.')
    probes: int = setting(
        200, 'Transitions never slept on, to judge nights by; at most a quarter of the memory, 0: none.', low=0
    )
    plugins: PluginSettings = plugin_group(PHASES, 'phases')


@dataclass(frozen=True, kw_only=True)
class PolicySettings(Settings):
    kind: str = setting('curious', 'Who chooses actions in mode curiosity, by the name of its file in policies/.')
    reward: str = setting(
        'visit_count', 'What `curious` seeks, by the names of files in rewards/: NAME, or NAME*NAME for their product.'
    )
    hidden: int = setting(256, 'Units of the two hidden layers of the actor (row 000-057).', low=1)
    joint_aware: bool = setting(True, 'The actor sees the joint angles too (row 000-058).')
    learning_rate: float = setting(1e-3, 'Adam of the actor, or of what a reward learns.', low=0.0)
    interval: int = setting(4, 'Wake steps from one update of either to the next (row 000-063).', low=1)
    batch_size: int = setting(16, 'Samples of each of these updates (row 000-063).', low=1)
    warmup: int = setting(50, 'First steps, in which the actor acts at random (row 000-061).', low=0)
    noise: float = setting(0.3, 'Standard deviation of exploration, share of the action scale (row 000-062).', low=0.0)
    clip_penalty: float = setting(0.1, "Weight of the actor's distance to the applied action (row 000-064).", low=0.0)
    candidates: int = setting(32, 'Actions that `curious` compares.', low=1)
    horizon: int = setting(4, 'Imagined steps for which `curious` holds each of them.', low=1)
    cell_deg: float = setting(10.0, 'Width of a cell of joint angles.', unit='deg', low=0.1)
    action: str = setting('', 'What `constant` does, robot units: `5 0` or `pan=5`.')
    sequence: str = setting('', 'What `sequence` does over and over: actions with semicolons between, or its name.')
    session: str = setting('', 'Folder of the session whose actions `recorded` does again.')
    filter_action: str = setting('', 'KEY=VALUE: `recorded` does only actions of this value.')
    plugins: PluginSettings = plugin_group(POLICIES, 'kind')
    reward_plugins: PluginSettings = plugin_group(REWARDS, 'reward')


@dataclass(frozen=True, kw_only=True)
class LearningSettings(Settings):
    """The whole recipe of a model: frozen in its config.json when the model is created."""

    act_before_learning: bool = setting(True, 'The next action goes out before the last step is learned from.')
    image_delay: int = setting(
        -1, 'Steps by which images are late, taken into account in pairing them with actions; -1: measured.',
        low=-1, high=3,
    )  # fmt: skip
    save_interval: int = setting(1, 'Sleeps from one save to the next; 0: only when asked (row 000-048).', low=0)
    network: NetworkSettings = group(NetworkSettings)
    normalizer: NormalizerSettings = group(NormalizerSettings)
    fast: FastSettings = group(FastSettings)
    slow: SlowSettings = group(SlowSettings)
    memory: MemorySettings = group(MemorySettings)
    sleep: SleepSettings = group(SleepSettings)
    policy: PolicySettings = group(PolicySettings)
