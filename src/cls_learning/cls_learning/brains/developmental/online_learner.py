"""The online learner of the brain `developmental`: perceives, judges, predicts, chooses, acts and learns."""

from collections.abc import Sequence
import copy
from dataclasses import replace

import numpy as np
import torch
from torch import nn, Tensor

from cls_common.robot import action_text, Kind
from cls_common.transition import CAMERA, check, Doubles, Experience, Floats, Observation, Transition

from ...brain import Model, OnlineLearner, State
from ...config import ObservationMemorySettings
from ...learners.actions import ActionCode
from ...learners.optimisation import load_module, module_state, prefixed, select
from ...memory.chain import Chain, pack, unpack
from ...memory.observation_memory import ObservationMemory
from ...policies.contract import uniform
from ...randomness import derive, stream
from .actions import as_input, candidates, make_selector
from .inspection.figures import Figure
from .inspection.measures import effective_rank, explained_variance
from .model import DevelopmentalModel, Steps, to_pictures
from .pictures import pictures_of
from .quality import Errors, QualityGate, RunningMeans
from .settings import AUTOMATIC, UNCERTAINTY
from .training import awake, draw_steps, Trainer
from .uncertainty import Uncertainty

# Steps from one measurement of the rank of tokens to the next.
_RANK_EVERY = 50
# Windows of a segment that is kept.
_WINDOWS = 3


class DevelopmentalOnlineLearner(OnlineLearner):
    """One model learns from each step; its averaged weights act.

    Attributes:
        online: learns. fast: its average, which predicts and acts. gate: whether the robot sees well enough.
    """

    acts_before_learning = False

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.robot, self.settings, self._seed = model.robot, model.settings, model.seed
        self.wake_steps_per_cycle = self.settings.sleep.wake_steps_per_cycle
        self._shapes = dict(model.shapes)
        self.code = ActionCode(model.robot, 'unit')
        self.candidates = as_input(candidates(model.robot, self.settings.policy.candidates))
        self.online = DevelopmentalModel(self.settings, self.candidates, derive(model.seed, 'network'))
        self.fast = copy.deepcopy(self.online).requires_grad_(False).eval()
        own = self.settings.wake
        self._trainer = Trainer(self.online, self.fast, self.settings, awake(own), own.average)
        self.gate = QualityGate(self.settings.gate)
        self._uncertainty = Uncertainty(self.settings.policy.uncertainty, self.online.autoencoder.size)
        self._selector = make_selector(self.settings, model.robot, model.seed)
        policy = self.settings.policy
        self._explore = policy.explore if policy.kind in (AUTOMATIC, UNCERTAINTY) else 0.0
        segment = _WINDOWS + self.online.context - 1
        own_limits = ObservationMemorySettings(capacity=own.kept + segment, keep='spread', segment=segment)
        self._kept = ObservationMemory(own_limits)
        # Steps since the start of the episode, at most `context`.
        self._history: list[Transition] = []
        self._running = RunningMeans(self.code.size)
        # What was predicted for the newest picture, for `pictures` only; None before the first step since loading.
        self._predicted: Tensor | None = None

    @property
    def memory_size(self) -> int:
        """See OnlineLearner."""
        return len(self._kept)

    @property
    def memory_bytes(self) -> int:
        """See OnlineLearner."""
        return self._kept.nbytes

    def act(self, observation: Observation, joints: Doubles, mode: str, steps: int) -> Floats:
        """See OnlineLearner; at rest while the gate is closed, in mode curiosity."""
        generator = stream(self._seed, f'act.{mode}', steps)
        if mode == 'random' or not self.online.is_begun:
            return self.robot.to_units(uniform(self.code.size, generator))
        if not self.gate.may_act:
            return self._rest()
        if self._explore and generator.random() < self._explore:
            return self.robot.to_units(self.candidates[int(generator.integers(len(self.candidates)))].numpy())
        if self._selector is not None:
            return self.robot.to_units(self._selector.act(np.zeros(0, np.float32), joints, steps, generator))
        return self.robot.to_units(self.candidates[int(self.uncertainties(observation, generator).argmax())].numpy())

    def uncertainties(self, observation: Observation, generator: np.random.Generator) -> Tensor:
        """Returns the uncertainty of the outcome of each candidate action, (K,), ties broken at random."""
        with torch.inference_mode():
            steps = self.steps_now(observation)
            pictures = self._uncertainty.predictions(self.fast, steps, self.candidates, generator)
            return self._uncertainty.scores(pictures) * (
                1 + 1e-6 * as_input(generator.random(len(self.candidates), np.float32))
            )

    def steps_now(self, observation: Observation) -> Steps:
        """Returns the pictures before an action that is not yet chosen, with zeros for the action and its outcome."""
        older = self._history[-(self.online.context - 1) :] if self.online.context > 1 else []
        if older and not np.array_equal(older[-1].after[CAMERA], observation[CAMERA]):
            older = []  # another episode has begun
        images = [to_pictures(torch.from_numpy(each.before[CAMERA])) for each in older]
        images.append(to_pictures(torch.from_numpy(observation[CAMERA])))
        actions = [self._input(each) for each in older] + [torch.zeros(self.code.size)]
        return Steps(torch.stack([*images, torch.zeros_like(images[-1])])[None], torch.stack(actions)[None])

    def _rest(self) -> Floats:
        """Returns the action without an effect: zero, and the last one of a channel with absolute values."""
        rest = self.robot.zero()
        if self._history:
            is_absolute = np.array([channel.kind == Kind.ABSOLUTE for channel in self.robot.channels])
            rest = np.where(is_absolute, self._history[-1].action_applied, rest).astype(np.float32)
        return rest

    def learn(self, transition: Transition, episode: int | None = None) -> Experience:
        """Predicts the step, compares, and learns from it.

        Raises:
            UserError: a number is not finite or a size is wrong; nothing was learned.
        """
        check(transition, self.robot, self._shapes)
        if not self.online.is_begun:
            for model in (self.online, self.fast):
                model.begin(to_pictures(torch.from_numpy(transition.before[CAMERA]))[None])
        if transition.boundary:
            self._history = []
        self._history = [*self._history, transition][-self.online.context :]
        self.count(transition, episode)
        own = Experience(transition=transition, sequence=self.total_steps, episode=self.episode)
        self._kept.add(replace(own, episode=0))
        metrics = self._judge() | self._learn()
        return replace(own, metrics=metrics)

    def _input(self, transition: Transition) -> Tensor:
        return self.code.to_input(torch.from_numpy(transition.action_applied)).clamp(-1.0, 1.0)

    @torch.no_grad()
    def _judge(self) -> dict[str, float]:
        """Compares the newest picture with its reconstruction and its prediction, before learning from it."""
        newest, fast = self.steps_of([self._history]), self.fast
        picture, before = newest.pictures[:, -1], newest.pictures[:, -2]
        predicted = fast.draw(fast.predict(newest))
        errors = Errors(
            reconstruction=_error(fast.reconstruct(picture), picture), prediction=_error(predicted, picture),
            constant=float(picture.var((0, 2, 3), correction=0).mean()), copy=_error(before, picture),
        )  # fmt: skip
        self._predicted = predicted
        self._uncertainty.observe(predicted, picture)
        if self.total_steps % self.settings.policy.inspect_every == 0 and len(self.candidates) > 1:
            errors = self._compare_actions(newest, errors)
        self.gate.observe(errors)
        r2 = explained_variance(predicted, picture)
        self._running.observe(errors, r2, newest.actions[0, -1])
        return {
            'reconstruction_loss': errors.reconstruction, 'error_before': errors.prediction,
            'constant_error': errors.constant, 'copy_error': errors.copy, 'predictor_explained_variance': r2,
            'gate_open': float(self.gate.is_open), 'rests': float(self.gate.rests),
            'action_variety': self._running.action_variety(self.total_steps), **self._running.means,
        }  # fmt: skip

    def _compare_actions(self, newest: Steps, errors: Errors) -> Errors:
        """Adds the errors of predictions with other actions than the true one."""
        pictures = self.fast.sweep(newest, self.candidates).mean(0)  # (K, 3, H, W)
        picture = newest.pictures[:, -1]
        is_other = torch.cdist(self.candidates, newest.actions[:, -1])[:, 0] > 1e-3
        wrong = min(_error(each[None], picture) for each in pictures[is_other])
        return errors._replace(blind=_error(pictures.mean(0)[None], picture), wrong=wrong)

    def _learn(self) -> dict[str, float]:
        """Takes one step: of the autoencoder alone while the gate is closed, else of both networks."""
        own, generator = self.settings, stream(self._seed, 'update', self.total_steps)
        sees = self.gate.is_open
        steps = self._batch(generator)
        if self.total_steps % _RANK_EVERY == 0:
            with torch.no_grad():
                self._running.means['effective_rank'] = effective_rank(
                    self.fast.autoencoder.encode(steps.pictures[:, -1])
                )
        found = self._trainer.update(
            steps, self.total_steps, generator, predicts=sees and self._is_worth_learning(),
            reconstructs=own.loss.reconstruction if sees else 1.0,
        )  # fmt: skip
        updates = {f'{name}_training_step': float(count) for name, count in self._trainer.updates.items()}
        return found | updates | {'predictor_lr': self._trainer.learning_rate}

    @torch.no_grad()
    def _is_worth_learning(self) -> bool:
        """Whether the newest step is predicted worse than the setting from which the predictor learns."""
        least = self.settings.gate.prediction
        if least == 0:
            return True
        newest = self.steps_of([self._history])
        found = self.online.prediction_losses(newest, stream(self._seed, 'check', self.total_steps))
        return bool(found.total > least)

    def _batch(self, generator: np.random.Generator) -> Steps:
        """Returns the newest step and some of the recent ones, with as many pictures before each."""
        context, own = self.online.context, self.settings
        if len(self._history) < context or generator.random() < own.loss.short_context:
            context = 1
        newest = self.steps_of([self._history[-context:]])
        if own.wake.batch_size == 1 or not self._kept.window_count(context):
            return newest
        others = draw_steps(self._kept, own.wake.batch_size - 1, context, self.code, generator)
        return Steps(*(torch.cat(pair) for pair in zip(newest, others)))

    def steps_of(self, windows: Sequence[Sequence[Transition]]) -> Steps:
        """Returns windows of equally many consecutive transitions as tensors."""
        pictures = [
            torch.stack([to_pictures(torch.from_numpy(o[CAMERA])) for o in [w[0].before, *(t.after for t in w)]])
            for w in windows
        ]
        return Steps(torch.stack(pictures), torch.stack([torch.stack([self._input(t) for t in w]) for w in windows]))

    def metrics(self) -> dict[str, float]:
        """Returns the running means of the errors as shares of trivial ones, and the state of the gate."""
        return {**self._running.means, 'gate_open': float(self.gate.is_open), 'rests': float(self.gate.rests)}

    def pictures(self) -> dict[str, Figure]:
        """See OnlineLearner."""
        if self._predicted is None:
            return {}
        return pictures_of(self.fast, self.steps_now(self._history[-1].after), self._predicted, self._action_texts())

    def action_uncertainty(self, observation: Observation) -> dict[str, float]:
        """See OnlineLearner."""
        if not self.online.is_begun:
            return {}
        scores = self.uncertainties(observation, stream(self._seed, 'shown', self.total_steps))
        return dict(zip(self._action_texts(), scores.tolist()))

    def _action_texts(self) -> list[str]:
        return [action_text(self.robot.channels, values) for values in self.robot.to_units(self.candidates.numpy())]

    def take(self, model: DevelopmentalModel) -> None:
        """Takes the weights of a sleep; the optimisers go on with their moments."""
        for each in (self.online, self.fast):
            each.load_state_dict(model.state_dict())

    def networks(self) -> dict[str, nn.Module]:
        """See OnlineLearner."""
        return {'autoencoder': self.fast.autoencoder, 'predictor': self.fast.predictor}

    def state(self) -> State:
        """See OnlineLearner."""
        found = self.counters() | module_state('online', self.online) | module_state('fast', self.fast)
        found |= (
            self._trainer.state() | prefixed('kept', self._kept.state()) | self.gate.state() | self._uncertainty.state()
        )
        found |= prefixed('history', pack([Chain(0, 0, self._history)] if self._history else []))
        return found | self._running.state()

    def load(self, state: State) -> None:
        """See OnlineLearner."""
        self.load_counters(state)
        load_module('online', self.online, state)
        load_module('fast', self.fast, state)
        self._trainer.load(state)
        self._kept.load(select('kept', state))
        self.gate.load(state)
        self._uncertainty.load(state)
        self._predicted = None
        self._history = [step for chain in unpack(select('history', state)) for step in chain.steps]
        self._running.load(state)


def _error(predicted: Tensor, picture: Tensor) -> float:
    return float((predicted - picture).square().mean())
