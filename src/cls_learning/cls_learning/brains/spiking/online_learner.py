"""The online learner of the brain `spiking`: acts with the newest actor, and follows the world with its world model."""

from collections.abc import Iterable, Mapping
import math

import numpy as np
import torch
from torch import Tensor

from cls_common.errors import UserError
from cls_common.transition import check, Doubles, Experience, Floats, Observation, Transition

from ...brain import Model, OnlineLearner, State
from ...learners.adam import Adam
from ...learners.carried import Carried
from ...learners.elapsed import elapsed_in
from ...learners.optimisation import load_module, load_optimizer, make_adam, module_state, optimizer_state, step
from ...policies.contract import uniform
from ...randomness import derive, stream
from ...rtrl.learner import INFLUENCE
from .action_space import ActionSpace
from .networks import make_actor
from .world import World

# Episodes of which the mean is the return shown.
_EPISODES = 10
# Decay of the averages of errors and rates, per step.
_DECAY = 0.99
GREEDY = 'greedy'


def perceived(observation: Observation, senses: Iterable[str]) -> Tensor:
    """Returns the readings of some senses as one vector, float32 (S,)."""
    return torch.cat([torch.from_numpy(observation[name]) for name in senses])


def reward_of(transition: Transition) -> float:
    """Returns the reward of a step; 0 where the robot gives none that is finite."""
    return transition.reward if math.isfinite(transition.reward) else 0.0


class SpikingOnlineLearner(OnlineLearner):
    """Acts with the actor and follows the world with the world model that the last sleep handed over.

    Between two sleeps it learns nothing, or, with `world.online`, trains the world model from each step (batch 1, no
    replay, no tape).

    Attributes:
        world: the world model, which predicts each step before its outcome is known.
    """

    def __init__(self, model: Model) -> None:
        super().__init__()
        settings = model.settings
        self.robot, self.settings, self._seed = model.robot, settings, model.seed
        self.wake_steps_per_cycle = settings.sleep.wake_steps_per_cycle // (settings.sleep.naps + 1)
        self._shapes = dict(model.shapes)
        size = sum(self._shapes[name][0] for name in self._shapes)
        self.space = ActionSpace(model.robot)
        self.world = World(settings.world, size, self.space.size, derive(model.seed, 'world'))
        self._optimizer: Adam | None = None
        if settings.world.online != 'off':
            self.world.learn_online(settings.world.online, derive(model.seed, 'world.online'))
            self._optimizer = make_adam(self.world, settings.world.online_rate)
        self.actor = make_actor(size, self.space.outputs, settings.agent, derive(model.seed, 'agent'))
        self._carried = Carried('online', self.world.initial(1))
        self._return = 0.0
        self._returns: list[float] = []
        # Of the model's errors, of those of predicting no change, and of the rate of spikes.
        self._averages = torch.zeros(3, dtype=torch.float64)

    @property
    def is_nap_due(self) -> bool:
        """Whether the sleep that is due is a nap: those between two whole ones, counted by cycles."""
        return self.wants_sleep and (self.cycles + 1) % (self.settings.sleep.naps + 1) > 0

    def act(self, observation: Observation, joints: Doubles, mode: str, steps: int) -> Floats:
        """See OnlineLearner; in mode `greedy` the most likely action, for evaluation."""
        generator = stream(self._seed, f'act.{mode}', steps)
        if mode == 'random' or (steps < self.settings.warmup and mode != GREEDY):
            return self.robot.to_units(uniform(len(self.robot.channels), generator))
        state = perceived(observation, self._shapes)
        with torch.inference_mode():
            outputs, _ = self.actor(self.world.normalise(state)[None])
            outputs = outputs[0]
            greedy = mode == GREEDY
            code = self.space.best(outputs) if greedy else self.space.sample(outputs, self.space.noise((), generator))
        return self.space.to_action(code.numpy())

    def learn(self, transition: Transition, episode: int | None = None) -> Experience:
        """Predicts the step, compares, and counts.

        Raises:
            UserError: the robot gave no reward, a number is not finite or a size is wrong; nothing was learned.
        """
        check(transition, self.robot, self._shapes)
        if self.settings.agent.task and not math.isfinite(transition.reward):
            raise UserError(
                f"robot {self.robot.name!r} for the brain 'spiking'",
                expected='a finite reward with each step',
                found=str(transition.reward),
                do='Choose a robot with a reward or another brain, or set agent.task to 0 and agent.curiosity above 0.',
            )
        own = self.act(transition.before, transition.joints, 'curiosity', self.total_steps)
        # Found from what is known of the step, so that a journal learned again gives the same.
        metrics = {**self._follow(transition), 'by_actor': float(np.array_equal(own, transition.action_commanded))}
        self.count(transition, episode)
        return Experience(transition=transition, sequence=self.total_steps, episode=self.episode, metrics=metrics)

    def _follow(self, transition: Transition) -> dict[str, float]:
        if transition.boundary:
            self._return = 0.0
        reward = reward_of(transition)
        before, after = (perceived(o, self._shapes)[None] for o in (transition.before, transition.after))
        code = torch.from_numpy(self.space.to_code(transition.action_applied))[None]
        duration = self.settings.world.step_duration
        elapsed = torch.tensor([elapsed_in(transition, duration)]) if duration else None
        with torch.inference_mode(self._optimizer is None):
            outcome = self.world.predict(self._carried.begin(transition), before, code, elapsed)
        with torch.no_grad():
            error, copied = (float(self.world.errors(guess, after)) for guess in (outcome.state, before))
        self._carried.end(transition, outcome.carried)
        # Before a first sleep it is not known in which units to learn.
        if self._optimizer is not None and self.world.is_scaled:
            loss = self.world.loss(outcome, after, torch.tensor([reward]), torch.tensor([float(transition.terminal)]))
            step(self._optimizer, loss, self.settings.world.gradient_norm)
        rate = float(outcome.spike_rate.detach())
        self._averages = _DECAY * self._averages + (1 - _DECAY) * torch.tensor([error, copied, rate]).nan_to_num()
        metrics = {'reward': reward, 'error_before': error, 'copy_error': copied, 'spike_rate': rate}
        self._return += reward
        if transition.terminal or transition.truncated:
            self._returns = [*self._returns, self._return][-_EPISODES:]
            metrics['episode_return'] = self._return
        return metrics

    def metrics(self) -> dict[str, float]:
        """Returns the mean return of the last 10 episodes, the model's error as a share of predicting no change, and
        the share of neurons that fire in a tick; the latter two averaged over about 100 steps.
        """  # fmt: skip
        error, copied, rate = self._averages.tolist()
        weight = 1 - _DECAY**self.total_steps
        return {
            'return': sum(self._returns) / len(self._returns) if self._returns else math.nan,
            'model_error': error / copied if copied > 0 else math.nan,
            'spike_rate': rate / weight if rate > 0 else math.nan,
        }  # fmt: skip

    def take(self, world: World, actor: torch.nn.Module) -> None:
        """Takes the weights of a newer world model and actor."""
        self.world.load_state_dict(world.state_dict())
        self.actor.load_state_dict(actor.state_dict())
        # No step was taken with these weights: they have no influence on what is carried.
        self._carried.now = {
            name: torch.zeros_like(tensor) if name.endswith(INFLUENCE) else tensor
            for name, tensor in self._carried.now.items()
        }

    def networks(self) -> dict[str, torch.nn.Module]:
        """See OnlineLearner."""
        return {'actor': self.actor, 'world': self.world}

    def state(self) -> State:
        """See OnlineLearner."""
        episodes = {'returns': torch.tensor([self._return, *self._returns], dtype=torch.float64)}
        weights = module_state('model', self.world) | module_state('actor', self.actor)
        if self._optimizer is not None:
            weights |= optimizer_state('optimizer.online', self._optimizer)
        return self.counters() | weights | self._carried.state() | episodes | {'averages': self._averages.clone()}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """See OnlineLearner."""
        self.load_counters(dict(state))
        load_module('model', self.world, state)
        load_module('actor', self.actor, state)
        if self._optimizer is not None:
            load_optimizer('optimizer.online', self._optimizer, state)
        self._carried.load(dict(state))
        self._return, *self._returns = state['returns'].tolist()
        self._averages = state['averages'].clone()
