"""The recipe of the brain `developmental`; `config/presets/developmental/` has that of the original system."""

from dataclasses import dataclass

from cls_common.settings import group, setting, Settings

from ...config import ObservationMemorySettings
from ...registries import DEVELOPMENTAL_NETWORKS

AUTOMATIC, UNCERTAINTY = 'automatic', 'uncertainty'
LOSSES = ('automatic', 'squared', 'cross_entropy', 'weighted', 'focal')


@dataclass(frozen=True, kw_only=True)
class NetworkSettings(Settings):
    autoencoder: str = setting('local', 'Autoencoder, by the name of its file in networks/: local, vit or cnn.')
    predictor: str = setting('local', 'Predictor, by the name of its file in networks/: local, transformer or lstm.')
    size: int = setting(224, 'Height and width to which pictures are brought, a multiple of `patch`.', unit='px', low=8)
    patch: int = setting(16, 'Height and width of the patch of a token.', unit='px', low=1)
    width: int = setting(128, 'Numbers of a token.', low=1)
    encoder_layers: int = setting(
        0, 'Layers of the encoder; 0 in `local`: linear patches, of which none is hidden.', low=0
    )
    encoder_heads: int = setting(4, 'Heads of the encoder `vit`.', low=1)
    layers: int = setting(3, 'Layers of the predictor; of `local` those that know the action.', low=1)
    heads: int = setting(4, 'Heads of the attention; 0: none in `local`.', low=0)
    members: int = setting(3, 'Predictions of each step by `local`, whose disagreement is its uncertainty.', low=1)
    context: int = setting(2, 'Pictures from which the next one is predicted.', low=1)
    dropout: float = setting(0.0, 'Dropout of `transformer`.', low=0.0, high=0.9)
    rollout: str = setting(
        'pictures', 'pictures: a rollout codes each predicted picture again; tokens: it goes on with predicted tokens.',
        choices=('pictures', 'tokens'),
    )  # fmt: skip
    joins_edges: bool = setting(True, 'Opposite edges of a picture are neighbours in `local`.')


@dataclass(frozen=True, kw_only=True)
class LossSettings(Settings):
    picture: str = setting(
        'automatic',
        'automatic: the cross-entropy where the first picture is nearly black and white, else the squared error; '
        'weighted, focal: those of later versions of the original.',
        choices=LOSSES,
    )
    latent: float = setting(0.1, 'Weight of the error of predicted tokens.', low=0.0)
    detaches_target: bool = setting(True, 'The encoder does not learn to make its tokens easier to predict.')
    reconstruction: float = setting(1.0, 'Weight of the reconstruction in a step that predicts.', low=0.0)
    short_context: float = setting(
        0.25, 'Share of the updates in which only one picture is given, as at the start of an episode.', low=0.0,
        high=1.0,
    )  # fmt: skip
    shift: float = setting(
        0.07, 'Pictures of an update are shifted at random by this share of their side at most, all of a row alike.',
        low=0.0, high=0.5,
    )  # fmt: skip
    action: float = setting(0.0, 'Weight of a classifier of the action from the predicted change.', low=0.0)
    hidden_low: float = setting(0.3, 'Smallest share of the patches hidden in a masked step.', low=0.0, high=0.95)
    hidden_high: float = setting(0.85, 'Largest share.', low=0.0, high=0.95)
    whole: float = setting(0.5, 'Share of the steps in which nothing is hidden.', low=0.0, high=1.0)


@dataclass(frozen=True, kw_only=True)
class WakeSettings(Settings):
    learning_rate: float = setting(3e-3, 'Learning rate of Adam, every wake step, at first.', low=0.0)
    rate_steps: int = setting(
        500, 'Updates n after which the rate is divided by 1 + n / rate_steps, by 10 at most; 0: constant.', low=0
    )
    autoencoder_rate: float = setting(
        0.0,
        'Learning rate of the autoencoder, as a multiple of that of the predictor, also in sleep; 0: 4 with the '
        'cross-entropy, else 1.',
        low=0.0,
    )  # fmt: skip
    beta2: float = setting(
        0.99, 'Decay of the mean squared gradient of Adam; also in sleep. 0.999 lets late steps grow suddenly.',
        low=0.0, high=0.9999,
    )  # fmt: skip
    gradient_norm: float = setting(1.0, 'Norm to which gradients are clipped; 0: no clipping.', low=0.0)
    average: float = setting(0.995, 'Decay of the averaged weights that act.', low=0.0, high=0.9999)
    batch_size: int = setting(8, 'Steps of an update: the newest and some of those kept.', low=1)
    kept: int = setting(200, 'Steps of all times that the online learner keeps, a sample of short segments.', low=2)


@dataclass(frozen=True, kw_only=True)
class GateSettings(Settings):
    kind: str = setting(
        'relative',
        'relative: errors as a share of those of trivial pictures; absolute: mean squared errors; open: acts always.',
        choices=('relative', 'absolute', 'open'),
    )
    reconstruction: float = setting(
        0.5, 'The robot rests while its reconstruction error is above this: a share of that of the mean picture.',
        low=0.0,
    )  # fmt: skip
    prediction: float = setting(
        0.0, 'The predictor learns only from steps that it predicts worse than this; 0: from all.', low=0.0
    )
    most_rests: int = setting(20, 'Steps in a row that the robot rests at most.', low=1)


@dataclass(frozen=True, kw_only=True)
class PolicySettings(Settings):
    kind: str = setting(
        AUTOMATIC,
        'Policy of mode curiosity. uncertainty: the action whose outcome is known least; or one that does not learn, '
        'by the name of its file in policies/; automatic: both values in turn where there are two, else uncertainty.',
    )
    explore: float = setting(0.2, 'Share of random actions beside `automatic` and `uncertainty`.', low=0.0, high=1.0)
    uncertainty: str = setting(
        'members', 'members: their disagreement; dropout: that of 10 predictions with dropout.',
        choices=('members', 'dropout'),
    )  # fmt: skip
    candidates: int = setting(9, 'Most actions that are compared.', low=2)
    inspect_every: int = setting(10, 'Steps from one comparison of all actions, for the metrics, to the next.', low=1)
    action: str = setting('', 'Action of `constant`, robot units: `5 0` or `pan=5`.')
    sequence: str = setting('', 'Actions that `sequence` repeats, separated by semicolons, or the name of a sequence.')
    session: str = setting('', 'Folder of the session whose actions `recorded` repeats.')
    filter_action: str = setting('', 'KEY=VALUE: `recorded` repeats only the actions with this value.')


@dataclass(frozen=True, kw_only=True)
class MemorySettings(ObservationMemorySettings):
    capacity: int = setting(2000, 'Most transitions kept.', low=1)
    keep: str = setting(
        'spread', 'Kept at a limit: see the memory of observations.', choices=('newest', 'balanced', 'spread')
    )
    segment: int = setting(12, 'Transitions of a segment, at least those of a dream and its context.', low=2)


@dataclass(frozen=True, kw_only=True)
class SleepSettings(Settings):
    wake_steps_per_cycle: int = setting(500, 'Wake steps after which sleep starts by itself.', low=1)
    learning_rate: float = setting(3e-4, 'Learning rate of Adam in sleep.', low=0.0)
    batch_size: int = setting(8, 'Steps of an update.', low=1)
    average: float = setting(0.98, 'Decay of the averaged weights that a sleep keeps.', low=0.0, high=0.9999)
    reconstruct_steps: int = setting(50, 'Updates of the autoencoder alone.', low=1)
    predict_steps: int = setting(150, 'Updates of both on single steps.', low=1)
    dream_steps: int = setting(50, 'Updates on rollouts.', low=1)
    dream_length: int = setting(10, 'Steps of a rollout.', low=2)
    dream_batch_size: int = setting(2, 'Rollouts of an update.', low=1)
    max_duration: float = setting(600.0, 'A sleep that takes longer is rolled back.', unit='s', low=1.0)
    gate: bool = setting(True, 'A sleep after which held-out steps are predicted worse is rolled back.')


@dataclass(frozen=True, kw_only=True)
class DevelopmentalSettings(Settings):
    """The whole recipe of a model."""

    save_interval: int = setting(1, 'Sleeps from one save to the next; 0: only on request.', low=0)
    network: NetworkSettings = group(NetworkSettings)
    loss: LossSettings = group(LossSettings)
    wake: WakeSettings = group(WakeSettings)
    gate: GateSettings = group(GateSettings)
    policy: PolicySettings = group(PolicySettings)
    memory: MemorySettings = group(MemorySettings)
    sleep: SleepSettings = group(SleepSettings)


def check_networks(own: NetworkSettings) -> None:
    """Raises UserError for a network that does not exist."""
    for name in (own.autoencoder, own.predictor):
        DEVELOPMENTAL_NETWORKS.check(name)
