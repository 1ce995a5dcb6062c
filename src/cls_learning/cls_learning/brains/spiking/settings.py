"""The recipe of the brain `spiking`."""

from dataclasses import dataclass

from cls_common.settings import group, plugin_group, PluginSettings, setting, Settings

from ...neurons.settings import NeuronSettings
from ...registries import WORLD_MODELS

NETWORKS = ('mlp', 'spiking')
INTRINSIC = ('disagreement', 'visit_count')
LOSSES = ('squared', 'huber')
# Levels of `rtrl.LEVELS`, which is not imported here: settings are listed without PyTorch.
ONLINE = ('off', 'dense', 'sparse', 'snap', 'paths', 'diagonal')


@dataclass(frozen=True, kw_only=True)
class WorldSettings(Settings):
    model: str = setting('spiking', 'Kind of world model, by the name of its file in world_models/.')
    hidden: int = setting(128, 'Units of each of its two hidden layers.', low=1)
    ensemble: int = setting(
        1, 'World models that learn beside each other; their mean predicts, their disagreement is its uncertainty.',
        low=1, high=32,
    )  # fmt: skip
    learning_rate: float = setting(1e-3, 'Learning rate of Adam for the world model.', low=0.0)
    loss: str = setting(
        'squared',
        'Loss of predicted states; `huber` is linear for large errors, for worlds with rare jumps.',
        choices=LOSSES,
    )
    batch_size: int = setting(128, 'Number of windows in each update of the world model.', low=1)
    window: int = setting(
        1, 'Steps of a window, over which the state of the model is carried; 1: it begins each step at rest.', low=1
    )
    step_duration: float = setting(
        0.0,
        'Nominal duration of a step: in a shorter or longer one, by its stamps, the state of the model decays less or '
        'more. Imagined steps are nominal. 0: each step counts the same.',
        unit='s',
        low=0.0,
    )
    wake_interval: int = setting(4, 'Wake steps from one update awake to the next; 0: none.', low=0)
    online: str = setting(
        'off',
        'Level of real-time recurrent learning by which the online learner too trains its world model, from each step '
        'until the next sleep replaces it: `dense`, `sparse`, `snap` (SnAp-1) or `paths` (4) of `event_gru`, '
        '`diagonal` of `trace_units`; needs `window` above 1.',
        choices=ONLINE,
    )
    online_rate: float = setting(1e-4, 'Learning rate of Adam for `online`.', low=0.0)
    gradient_norm: float = setting(10.0, 'Norm to which gradients are clipped; 0: no clipping.', low=0.0)
    spike_rate: float = setting(
        1.0, 'Share of neurons that fire in a tick above which `spike_cost` applies.', low=0.0, high=1.0
    )
    spike_cost: float = setting(1.0, 'Weight of the square of the rate of spikes above `spike_rate`.', low=0.0)
    capacity: int = setting(20_000, 'Transitions kept for replay.', low=32)
    plugins: PluginSettings = plugin_group(WORLD_MODELS, 'model')


@dataclass(frozen=True, kw_only=True)
class AgentSettings(Settings):
    network: str = setting(
        'mlp', 'Kind of actor; `spiking`: layers of neurons, at rest before each step.', choices=NETWORKS
    )
    neurons: NeuronSettings = group(NeuronSettings)
    hidden: int = setting(64, 'Units of each hidden layer of actor and critic.', low=1)
    layers: int = setting(2, 'Hidden layers of actor and critic.', low=1)
    learning_rate: float = setting(1e-3, 'Learning rate of Adam for actor and critic.', low=0.0)
    starts: int = setting(64, 'Number of imagined trajectories in each update.', low=1)
    start_noise: float = setting(
        0.0,
        'Standard deviation of the noise of the real states from which trajectories start, as a share of the spread of '
        'states: the agent also practises where it seldom was.',
        low=0.0,
    )
    horizon: int = setting(15, 'Number of steps of each imagined trajectory.', low=1)
    discount: float = setting(0.99, 'Discount factor of a reward for each later step.', low=0.0, high=1.0)
    wake_interval: int = setting(
        0,
        'Wake steps from one update of actor and critic awake to the next; `sleep.naps` hand over sooner; 0: none.',
        low=0,
    )
    trace: float = setting(0.95, 'Lambda of the returns: 0 uses one step, 1 the whole horizon.', low=0.0, high=1.0)
    entropy: float = setting(3e-3, 'Weight of the entropy of the actor.', low=0.0)
    slow_rate: float = setting(
        0.1, 'Share of the difference to the critic that the slow critic takes over in each update.', low=0.0, high=1.0
    )
    return_rate: float = setting(
        0.01, 'Share of the new quantiles that the range of returns takes over in each update.', low=0.0, high=1.0
    )
    gradient_norm: float = setting(100.0, 'Norm to which gradients are clipped; 0: no clipping.', low=0.0)
    spike_rate: float = setting(
        1.0,
        'Share of neurons of a spiking actor that fire in a tick above which `spike_cost` applies.',
        low=0.0,
        high=1.0,
    )
    spike_cost: float = setting(1.0, 'Weight of the square of the rate of spikes above `spike_rate`.', low=0.0)
    task: float = setting(1.0, "Weight of the robot's reward; with 0 the robot needs to give none.", low=0.0)
    curiosity: float = setting(
        0.0, 'Weight of the intrinsic reward in imagination; below 0 the agent avoids what the model does not know.'
    )
    intrinsic: str = setting(
        'disagreement',
        'Intrinsic reward: the disagreement of the ensemble, or 1 / sqrt(1 + visits) of the cell of the state.',
        choices=INTRINSIC,
    )


@dataclass(frozen=True, kw_only=True)
class GateSettings(Settings):
    is_on: bool = setting(
        True,
        'An actor with worse real returns than the one kept last is rolled back; off where `agent.task` is 0.',
    )
    horizon: int = setting(25, 'Number of real steps of a return by which actors are compared.', low=1)


@dataclass(frozen=True, kw_only=True)
class SleepSettings(Settings):
    wake_steps_per_cycle: int = setting(200, 'Wake steps after which sleep starts by itself.', low=1)
    sws_steps: int = setting(200, 'Updates of the world model by replay.', low=1)
    rem_steps: int = setting(300, 'Updates of actor and critic in imagination.', low=1)
    naps: int = setting(
        0,
        'Naps between two sleeps, at equal distances: each only hands over what was learned awake since.',
        low=0,
    )
    max_duration: float = setting(300.0, 'A sleep that takes longer is rolled back.', unit='s', low=1.0)


@dataclass(frozen=True, kw_only=True)
class SpikingBrainSettings(Settings):
    """The whole recipe of a model."""

    senses: str = setting(
        'state', 'What is perceived: vectors by modality or `embedding`, separated by spaces, joined to one vector.'
    )
    warmup: int = setting(200, 'First steps of a model, in which actions are random.', low=0)
    save_interval: int = setting(1, 'Sleeps from one save to the next; 0: only on request.', low=0)
    world: WorldSettings = group(WorldSettings)
    agent: AgentSettings = group(AgentSettings)
    gate: GateSettings = group(GateSettings)
    sleep: SleepSettings = group(SleepSettings)
