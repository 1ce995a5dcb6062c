"""The online learner of the brain `cross_modal`: predicts all senses, learns from each step, and notices changes."""

from collections.abc import Iterable, Mapping
import copy
import math

import numpy as np
import torch
from torch import nn, Tensor

from cls_common.transition import check, Doubles, Experience, Floats, Observation, Transition

from ...brain import Model, OnlineLearner, State
from ...evaluation.change_detection import ChangeDetector
from ...learners.actions import ActionCode
from ...learners.elapsed import elapsed_in
from ...learners.optimisation import (
    average_into,
    load_module,
    load_optimizer,
    make_adam,
    module_state,
    optimizer_state,
    select,
    step,
)  # fmt: skip
from ...policies.contract import uniform
from ...randomness import derive, stream
from . import objectives
from .agreement import SensesAgreement
from .model import CarriedState, CrossModalModel, heeded_mean, Senses, with_duration
from .objectives.contract import WakeStep
from .watch import SensesWatch

# Decay of the running errors by which the better learner is chosen, and of those that are shown.
_RECENT, _SHOWN = 0.8, 0.99
GREEDY = 'greedy'
LEARNERS = ('fast', 'slow')


def readings(observation: Observation, names: Iterable[str]) -> dict[str, Tensor]:
    """Returns the readings of some senses, float32 (1, S) each."""
    return {name: torch.from_numpy(observation[name])[None] for name in names}


class CrossModalOnlineLearner(OnlineLearner):
    """Two learners of the same form predict each step: Fast learns from it, Slow is that of the last sleep.

    The one with the smaller recent error is the one that predicts and acts: Fast in a world that is new, Slow in one
    that has come back. Slow does not change awake, so that its error tells a changed world from learning.

    Attributes:
        online: learns from each step. models: by `LEARNERS`, of which Fast has the averaged weights of `online`.
        watch: which senses are heeded. detector: of changes of the world, on the errors of Slow.
    """

    acts_before_learning = False

    def __init__(self, model: Model) -> None:
        super().__init__()
        settings = model.settings
        self.robot, self.settings, self._seed = model.robot, settings, model.seed
        self.wake_steps_per_cycle = settings.sleep.wake_steps_per_cycle
        self._shapes = dict(model.shapes)
        sizes = {name: shape[0] for name, shape in self._shapes.items()}
        self.code = ActionCode(model.robot, 'unit')
        self.online = own = CrossModalModel(settings, sizes, self.code.size, derive(model.seed, 'network'))
        self.models = {name: copy.deepcopy(own).requires_grad_(False) for name in LEARNERS}
        self._objective = objectives.make(settings.fast)
        self._optimizer = make_adam(self._objective.learns(own), settings.fast.learning_rate)
        self._actor_optimizer = make_adam(own.network.actions, settings.actor.learning_rate)
        self.watch = SensesWatch(tuple(sizes), settings.watch)
        self.agreement = SensesAgreement(tuple(sizes), settings.watch.disagreement)
        self.detector = ChangeDetector(settings.change.detector)
        self._carried = {name: own.initial(1) for name in ('online', *LEARNERS)}
        self._errors = torch.zeros(len(LEARNERS), dtype=torch.float64)
        self._shown = torch.zeros(2, dtype=torch.float64)  # error of the better learner, of predicting no change
        self._changed_at = -2  # wake step in which the last change was found

    @property
    def better(self) -> str:
        """The learner with the smaller recent error; Fast before the first sleep."""
        return LEARNERS[int(self._errors.argmin())] if self.cycles else 'fast'

    @property
    def wants_sleep(self) -> bool:
        """Whether sleep is due: at the end of a cycle, or one step after the world was found changed."""
        return super().wants_sleep or self.total_steps == self._changed_at + 1

    @property
    def ends_cycle(self) -> bool:
        """See OnlineLearner."""
        return super().ends_cycle or self.total_steps == self._changed_at

    def act(self, observation: Observation, joints: Doubles, mode: str, steps: int) -> Floats:
        """See OnlineLearner; in mode `greedy` without exploration."""
        own, generator = self.settings.actor, stream(self._seed, f'act.{mode}', steps)
        if mode == 'random' or own.kind == 'random' or (steps < own.warmup and mode != GREEDY):
            return self.robot.to_units(uniform(self.code.size, generator))
        name = self.better
        with torch.inference_mode():
            state, _ = self.models[name].perceive(
                self._carried[name], readings(observation, self._shapes), self.watch.present()
            )
            action = torch.tanh(self.models[name].network.act(state))[0].numpy()
        noise = 0.0 if mode == GREEDY else own.noise * generator.standard_normal(self.code.size)
        return self.robot.to_units(np.clip(action + noise, -1.0, 1.0).astype(np.float32))

    def learn(self, transition: Transition, episode: int | None = None) -> Experience:
        """Predicts the step with both learners, compares, and learns it with Fast.

        Raises:
            UserError: a number is not finite or a size is wrong; nothing was learned.
        """
        check(transition, self.robot, self._shapes)
        if transition.boundary:
            self._carried = {name: self.online.initial(1) for name in self._carried}
        before, after = (readings(each, self._shapes) for each in (transition.before, transition.after))
        for model in (self.online, *self.models.values()):
            model.learn_scale(before, after)
        code = self._code_of(transition)
        metrics = self._learn(before, after, code, transition.reward)
        if self.cycles and not self.detector.is_changed:
            self.agreement.add(self.models['slow'], before, after, code, begins=transition.boundary)
        self.watch.add(before, after, self.agreement.disagrees)
        self.count(transition, episode)
        return Experience(transition=transition, sequence=self.total_steps, episode=self.episode, metrics=metrics)

    def _code_of(self, transition: Transition) -> Tensor:
        code = self.code.to_input(torch.from_numpy(transition.action_applied)[None])
        duration = self.settings.network.step_duration
        return with_duration(code, torch.tensor([elapsed_in(transition, duration)])) if duration else code

    def _learn(self, before: Senses, after: Senses, code: Tensor, reward: float) -> dict[str, float]:
        present = self.watch.present()
        errors, carried = {}, {}
        with torch.no_grad():
            for name, model in self.models.items():
                carried[name], predicted = model.step(self._carried[name], before, present, code)
                errors[name] = float(heeded_mean(model.errors(predicted.senses, after), present))
            copied = float(heeded_mean(self.online.errors(before, after), present))
        state, heeded = self.online.perceive(self._carried['online'], before, present)
        carried['online'], predicted = self.online.predict(state, heeded, code)
        seen = WakeStep(state, heeded, predicted, before, after, present, reward)
        loss = self._objective.loss(self.online, seen)
        self._carried = {name: carried.detach() for name, carried in carried.items()}
        found = {'loss': float(loss.detach()), 'reward': reward} | self._compare(errors, copied)
        if not all(map(bool, present.values())):
            # Without a sense what predicts it would drift: nothing is learned until it is back.
            return found
        step(self._optimizer, loss, self.settings.fast.gradient_norm)
        self._learn_to_act(state.detach(), heeded.detach(), carried['slow'], reward)
        decay = min(self.settings.fast.average, (self.total_steps + 1) / (self.total_steps + 10))
        average_into(list(self.models['fast'].parameters()), list(self.online.parameters()), decay)
        return found

    def _compare(self, errors: Mapping[str, float], copy_error: float) -> dict[str, float]:
        name = self.better
        now = torch.tensor([errors[each] for each in LEARNERS], dtype=torch.float64)
        self._errors = _RECENT * self._errors + (1 - _RECENT) * now
        self._shown = _SHOWN * self._shown + (1 - _SHOWN) * torch.tensor([errors[name], copy_error]).double()
        # Before its first sleep Slow knows nothing; after a change, nothing of the new world until it has slept in it.
        knows = self.cycles > 0 and not self.detector.is_changed
        is_change = False
        if self.settings.change.is_watched and knows:
            is_change = any(self.detector.observe(error) for error in self.agreement.of_world(errors['slow']))
        if is_change:
            self._changed_at = self.total_steps + 1
            self.agreement.reset()
        return {
            'error_before': errors[name], 'copy_error': copy_error, 'error_fast': errors['fast'],
            'error_slow': errors['slow'], 'by_slow': float(name == 'slow'), 'changed': float(is_change),
            'senses_left_out': float((self.watch.left_out > 0).sum()),
        }  # fmt: skip

    def _learn_to_act(self, state: Tensor, heeded: Tensor, slow: CarriedState, reward: float) -> None:
        """Takes one step of the actions towards what Fast predicts to be rewarded, with the weights held."""
        if self.settings.actor.kind != 'trained' or self._objective.trains_actions:
            return
        own = self.online
        code = torch.tanh(own.network.act(state))
        if own.has_duration:
            code = with_duration(code, torch.ones(len(code)))
        _, predicted = own.predict(state, heeded, code)
        if math.isfinite(reward):
            gain = predicted.reward.mean()
        else:
            _, other = self.models['slow'].predict(slow.state, heeded, code)
            gain = torch.stack(list(own.errors(predicted.senses, other.senses).values())).mean()
        step(self._actor_optimizer, -gain, self.settings.fast.gradient_norm)

    def expected(self) -> dict[str, Tensor]:
        """Returns what the better learner expects each sense to give after the last action, raw (1, S)."""
        name = self.better
        return self.models[name].expected(self._carried[name])

    def metrics(self) -> dict[str, float]:
        """Returns the error as a share of that of predicting no change, averaged over about 100 steps, and changes."""
        error, copied = self._shown.tolist()
        return {
            'model_error': error / copied if copied > 0 else math.nan,
            **self.detector.metrics(),
            **{f'left_out_{name}': float(n) for name, n in zip(self.watch.names, self.watch.left_out)},
        }

    def take(self, model: CrossModalModel) -> None:
        """Takes the weights of a sleep into both learners; Fast's optimiser begins again."""
        for each in (self.online, *self.models.values()):
            each.load_state_dict(model.state_dict())
        self._optimizer.moments = {}
        self.agreement.reset()
        # Else the detector goes on: errors of a better Slow are lower, which is no change of the world.
        if self.detector.is_changed and self.total_steps > self._changed_at + 1:
            self.detector.refreeze()

    def networks(self) -> dict[str, nn.Module]:
        """See OnlineLearner."""
        return {'fast': self.models['fast'], 'slow': self.models['slow']}

    def state(self) -> State:
        """See OnlineLearner."""
        weights = module_state('online', self.online)
        for name, model in self.models.items():
            weights |= module_state(name, model)
        carried = {
            f'carried.{name}.{key}': t.clone() for name, m in self._carried.items() for key, t in m.named().items()
        }
        own = {'errors': self._errors.clone(), 'shown': self._shown.clone()}
        own['changed_at'] = torch.tensor(self._changed_at)
        optimizers = optimizer_state('optimizer.fast', self._optimizer)
        optimizers |= optimizer_state('optimizer.actor', self._actor_optimizer)
        watches = self.watch.state() | self.agreement.state() | self.detector.state()
        return self.counters() | weights | carried | own | optimizers | watches

    def load(self, state: Mapping[str, Tensor]) -> None:
        """See OnlineLearner."""
        self.load_counters(dict(state))
        load_module('online', self.online, state)
        for name, model in self.models.items():
            load_module(name, model, state)
        for name in self._carried:
            self._carried[name] = CarriedState(
                **{key: t.clone() for key, t in select(f'carried.{name}', state).items()}
            )
        load_optimizer('optimizer.fast', self._optimizer, state)
        load_optimizer('optimizer.actor', self._actor_optimizer, state)
        self.watch.load(state)
        self.agreement.load(state)
        self.detector.load(state)
        self._errors, self._shown = state['errors'].clone(), state['shown'].clone()
        self._changed_at = int(state['changed_at'])
