"""Settings of the brain `cls`, with their defaults, limits and help texts.

`config/presets/reference.param.yaml` has the values of the original system.
"""

from dataclasses import dataclass

from cls_common.settings import group, plugin_group, PluginSettings, setting, Settings

from .registries import MEMORIES, PHASES, POLICIES, REWARDS, WORLD_MODELS


@dataclass(frozen=True, kw_only=True)
class NetworkSettings(Settings):
    world_model: str = setting('film', 'World model, by the name of its file in world_models/.')
    fast_hidden: int = setting(256, 'Units of the hidden layer of Fast.', low=1)
    slow_hidden: int = setting(1024, 'Units of each of the two hidden layers of Slow.', low=1)
    residual: bool = setting(True, 'Networks predict the change of z; untrained they predict no change.')
    gradient_norm: float = setting(1.0, 'Gradients are clipped to this norm; 0: not clipped.', low=0.0)
    action_scaling: str = setting(
        'unit', 'unit: actions enter the networks in [-1, 1]; raw: in robot units.', choices=('unit', 'raw')
    )
    plugins: PluginSettings = plugin_group(WORLD_MODELS, 'world_model')


@dataclass(frozen=True, kw_only=True)
class NormalizerSettings(Settings):
    kind: str = setting(
        'running',
        'running: one mean per dimension and one scale for all; identity: no normalisation.',
        choices=('running', 'identity'),
    )
    clip: float = setting(10.0, 'Normalised values are clipped to +- this value.', low=1.0)
    fold: bool = setting(True, 'A new snapshot is folded into all weights, so that predictions stay the same.')


@dataclass(frozen=True, kw_only=True)
class FastSettings(Settings):
    learning_rate: float = setting(3e-4, 'Learning rate of Adam, every wake step.', low=0.0)
    recent: int = setting(15, 'Transitions of the ring in each batch, besides the newest.', low=0)
    older: int = setting(16, 'Transitions of the reservoir in each batch.', low=0)
    ring: int = setting(500, 'Newest transitions kept by the online learner.', low=1)
    reservoir: int = setting(500, 'Older transitions kept by the online learner, a uniform sample.', low=0)
    average: float = setting(
        0.98, 'Decay of the averaged weights that act and are scored; 0: no average.', low=0.0, high=0.9999
    )


@dataclass(frozen=True, kw_only=True)
class SlowSettings(Settings):
    wake_learning_rate: float = setting(3e-5, 'Learning rate of Adam, awake.', low=0.0)
    wake_distill_weight: float = setting(0.1, 'Weight of the distillation error against Fast.', low=0.0)
    wake_raw_weight: float = setting(1.0, 'Weight of the error against the real embedding.', low=0.0)
    wake_interval: int = setting(1, 'Wake steps between two updates.', low=1)
    average: float = setting(
        0.99,
        'Decay of the averaged weights that are scored and teach Fast; 0: no average.',
        low=0.0,
        high=0.9999,
    )


@dataclass(frozen=True, kw_only=True)
class MemorySettings(Settings):
    scene_jump: float = setting(
        0.4,
        'A new episode begins where embeddings at known poses jump by this share of unrelated ones; 0: never.',
        low=0.0,
    )
    kind: str = setting(
        'pieces', 'Replay memory by name. pieces: segment buffer, balanced over episodes; fifo: the newest transitions.'
    )
    capacity: int = setting(5000, 'Transitions kept for sleep.', low=32)
    piece_length: int = setting(
        3,
        'Transitions of a segment, kept or removed together; at least rem_k. Shorter ones cover more views.',
        low=1,
    )
    plugins: PluginSettings = plugin_group(MEMORIES, 'kind')


@dataclass(frozen=True, kw_only=True)
class ObservationMemorySettings(Settings):
    """Limits of an ObservationMemory; a group in the settings of a brain that has one."""

    capacity: int = setting(100_000, 'Most transitions kept.', low=1)
    max_bytes: int = setting(250_000_000, 'Largest size of their arrays.', unit='B', low=1)
    keep: str = setting(
        'newest',
        'Kept at a limit. newest: the newest transitions; balanced: the newest of each episode, equally many; '
        'spread: segments of all times of each episode, equally many.',
        choices=('newest', 'balanced', 'spread'),
    )
    segment: int = setting(8, 'Transitions of a segment, where segments are kept.', low=1)


@dataclass(frozen=True, kw_only=True)
class SleepSettings(Settings):
    wake_steps_per_cycle: int = setting(
        500,
        'Wake steps from one sleep to the next; of more than fast.ring, some are not in the ring.',
        low=1,
    )
    phases: str = setting('sws rem tether', 'Phases in order, by the names of their files in consolidation/.')
    learning_rate: float = setting(2e-4, 'Learning rate of Adam for Slow in sleep.', low=0.0)
    batch_size: int = setting(32, 'Samples of each optimiser step, without replacement.', low=1)
    sws_steps: int = setting(200, 'Optimiser steps of slow-wave sleep.', low=1)
    sws_alpha: float = setting(1.0, 'Weight of the distillation loss.', low=0.0)
    sws_target: str = setting(
        'gated',
        'fast: the prediction of Fast; gated: mixed with the real embedding by the skill of Fast.',
        choices=('fast', 'gated'),
    )
    gate_max: float = setting(0.5, 'Largest share of Fast in a gated target.', low=0.0, high=1.0)
    own_weight: float = setting(
        0.0, "Weight in SWS of the error against Slow's own predictions from before the sleep; 0: off.", low=0.0
    )
    candidates: int = setting(
        1,
        'Batches drawn for each one of SWS and REM, of which the samples are kept that Slow predicts worst; 1: off.',
        low=1,
    )
    virtual_share: float = setting(
        0.8,
        'Share of stitched trajectories in the batches of SWS and REM, where the scene is static.',
        low=0.0,
        high=1.0,
    )
    rem_steps: int = setting(200, 'Optimiser steps of REM.', low=1)
    rem_k: int = setting(3, 'Steps of each rollout in REM.', low=1)
    rem_gamma: float = setting(0.5, 'Weight of the multi-step loss.', low=0.0)
    rem_reduction: str = setting('mean', 'Reduction of the loss over the steps of a rollout.', choices=('mean', 'sum'))
    rem_anchor: float = setting(1.0, 'Weight of the one-step error on real transitions in REM.', low=0.0)
    tether_steps: int = setting(10, 'Optimiser steps in which Fast is trained on Slow.', low=1)
    tether_learning_rate: float = setting(1e-3, 'Learning rate of Adam for Fast in Tether.', low=0.0)
    max_duration: float = setting(300.0, 'A longer sleep is rolled back.', unit='s', low=1.0)
    gate: bool = setting(True, 'A sleep that lowers the skill on the held-out transitions is rolled back.')
    probes: int = setting(
        200, 'Held-out transitions, by which sleeps are judged; at most a quarter of the memory, 0: none.', low=0
    )
    plugins: PluginSettings = plugin_group(PHASES, 'phases')


@dataclass(frozen=True, kw_only=True)
class PolicySettings(Settings):
    kind: str = setting('curious', 'Policy of mode curiosity, by the name of its file in policies/.')
    reward: str = setting(
        'visit_count', 'Intrinsic reward of `curious`, by files in rewards/: NAME, or NAME*NAME for a product.'
    )
    hidden: int = setting(256, 'Units of the two hidden layers of the actor.', low=1)
    joint_aware: bool = setting(True, 'Joint angles are an input of the actor.')
    learning_rate: float = setting(1e-3, 'Learning rate of Adam for the actor or the networks of a reward.', low=0.0)
    interval: int = setting(4, 'Wake steps between two updates of these.', low=1)
    batch_size: int = setting(16, 'Samples of each of these updates.', low=1)
    warmup: int = setting(50, 'First steps, in which the actor acts at random.', low=0)
    noise: float = setting(0.3, 'Standard deviation of exploration, share of the action scale.', low=0.0)
    clip_penalty: float = setting(0.1, "Weight of the actor's distance to the applied action.", low=0.0)
    candidates: int = setting(32, 'Candidate actions of `curious`.', low=1)
    horizon: int = setting(4, 'Steps of the rollout of each candidate.', low=1)
    cell_deg: float = setting(10.0, 'Width of a cell of joint angles.', unit='deg', low=0.1)
    action: str = setting('', 'Action of `constant`, robot units: `5 0` or `pan=5`.')
    sequence: str = setting('', 'Actions that `sequence` repeats, separated by semicolons, or the name of a sequence.')
    session: str = setting('', 'Folder of the session whose actions `recorded` repeats.')
    filter_action: str = setting('', 'KEY=VALUE: `recorded` repeats only the actions with this value.')
    plugins: PluginSettings = plugin_group(POLICIES, 'kind')
    reward_plugins: PluginSettings = plugin_group(REWARDS, 'reward')


@dataclass(frozen=True, kw_only=True)
class LearningSettings(Settings):
    """All settings of the brain; config.json keeps them when a model is created."""

    act_before_learning: bool = setting(True, 'The next action is sent before the last step is learned.')
    image_delay: int = setting(
        -1,
        'Delay of images in steps, by which they are paired with earlier actions; -1: measured.',
        low=-1,
        high=3,
    )
    save_interval: int = setting(1, 'Sleeps between two saves; 0: only on request.', low=0)
    network: NetworkSettings = group(NetworkSettings)
    normalizer: NormalizerSettings = group(NormalizerSettings)
    fast: FastSettings = group(FastSettings)
    slow: SlowSettings = group(SlowSettings)
    memory: MemorySettings = group(MemorySettings)
    sleep: SleepSettings = group(SleepSettings)
    policy: PolicySettings = group(PolicySettings)
