"""The consolidator of the brain `spiking`: world model, actor and critic, and the memory that they learn from."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from cls_common.transition import Experience

from ...brain import CONSOLIDATOR, Consolidator, Goal, Model, OnlineLearner, SleepRun, State, Verdict
from ...learners.elapsed import elapsed_in
from ...learners.optimisation import load_module, load_optimizer, make_adam, module_state, optimizer_state, select, step
from ...randomness import derive, stream
from . import intrinsic
from .action_space import ActionSpace
from .actor_critic import ActorCritic
from .actor_gate import ActorGate, Step
from .imagination import imagine
from .online_learner import perceived, reward_of, SpikingOnlineLearner
from .replay import Replay, Window
from .world import World

MEMORY = 'memory'


class SpikingConsolidator(Consolidator):
    """Learns the world model awake and asleep, actor and critic in imagination, asleep and by a setting awake.

    It runs on the CPU, whatever the device: its networks are too small for another one.

    Attributes:
        world, agent: what is learned. memory: the transitions. gate: compares actors by their real returns.
    """

    def __init__(self, model: Model, device: str = 'cpu') -> None:
        super().__init__()
        self.settings, self.seed = model.settings, model.seed
        self.save_interval = self.settings.save_interval * (self.settings.sleep.naps + 1)
        self.max_duration = self.settings.sleep.max_duration
        self._senses = tuple(model.shapes)
        self._size = sum(model.shapes[name][0] for name in self._senses)
        self.space = ActionSpace(model.robot)
        self.world = World(self.settings.world, self._size, self.space.size, derive(self.seed, 'world'))
        self.agent = ActorCritic(self.settings.agent, self.space, self._size, derive(self.seed, 'agent'))
        own_gate = self.settings.gate
        # The robot's reward says nothing of an agent that does not seek it.
        is_on = own_gate.is_on and self.settings.agent.task > 0
        self.gate = ActorGate(own_gate.horizon, self.settings.agent.discount, is_on)
        # The agent whose actor acts, and the last one that the gate kept: awake, `agent` may learn on.
        self._acting_agent = self._kept_agent = self.agent.state()
        self._last_in_memory = 0
        own_world = self.settings.world
        has_durations = own_world.step_duration > 0.0
        self.memory = Replay(own_world.capacity, self._size, self.space.size, has_durations=has_durations)
        self._optimizer = make_adam(self.world, self.settings.world.learning_rate)
        # Receives the state of the online learner at the start of each sleep, and goes back with new weights.
        self.online_copy = SpikingOnlineLearner(model)

    @property
    def memory_size(self) -> int:
        """Transitions held."""
        return len(self.memory)

    @property
    def sleeps_rolled_back(self) -> int:
        """Actors that were rolled back."""
        return self.gate.rolled_back

    @property
    def memory_bytes(self) -> int:
        """Bytes that they take."""
        return self.memory.nbytes

    def learn(self, experience: Experience) -> dict[str, float]:
        """Takes one experience into memory and, where due, updates the world model, and actor and critic.

        Returns:
            model_loss, and what `ActorCritic.update` returns, where there was an update.
        """
        begins = experience.transition.boundary or experience.sequence != self._last_in_memory + 1
        self.count(experience)
        self._last_in_memory = experience.sequence
        t = experience.transition
        before, after = (perceived(o, self._senses) for o in (t.before, t.after))
        code = torch.from_numpy(self.space.to_code(t.action_applied))
        reward = reward_of(t)
        self.gate.add(Step(reward, t.terminal, begins, experience.metrics['by_actor'] > 0))
        elapsed = elapsed_in(t, self.settings.world.step_duration)
        self.memory.add(before, after, code, reward, terminal=t.terminal, begins=begins, elapsed=elapsed)
        own, agent = self.settings.world, self.settings.agent
        # Before its first update, asleep, the model does not know the spread of what is sensed.
        is_trained = bool(self._optimizer.moments)
        learns, dreams = (
            n > 0 and is_trained and self.sequence % n == 0 for n in (own.wake_interval, agent.wake_interval)
        )
        starts = self.memory.starts(own.window) if learns or dreams else torch.empty(0)
        found: dict[str, float] = {}
        if learns and len(starts):
            found['model_loss'] = self.update_world(self.draw(starts, own.batch_size, 'wake', self.sequence))
        if dreams and len(starts):
            window = self.draw(starts, agent.starts, 'wake.dream', self.sequence)
            found |= self.update_agent(window, 'wake.dream.actions', self.sequence)
        return found

    def step_errors(self, experience: Experience, metrics: Mapping[str, float]) -> tuple[float, float]:
        """See Consolidator: the errors of the online learner's world model, and of predicting no change."""
        return experience.metrics['error_before'], experience.metrics['copy_error']

    def draw(self, starts: Tensor, count: int, purpose: str, number: int) -> Window:
        """Draws windows of memory, those of a purpose and a number always the same."""
        return self.memory.windows(starts, count, self.settings.world.window, stream(self.seed, purpose, number))

    def rewire(self, number: int) -> None:
        """Replaces weights of a world model whose connections change; before updates, which adapt to it."""
        if self._optimizer.moments and self.world.rewire(stream(self.seed, 'rewire', number)):
            self._optimizer.forget_zeros()

    def update_world(self, window: Window) -> float:
        """Takes one step of the world model; returns its loss, NaN where it was refused."""
        own = self.settings.world
        carried = self.world.initial(len(window.before))
        losses, rates = [], []
        for k in range(window.before.shape[1]):
            outcome = self.world.predict(carried, window.before[:, k], window.code[:, k], window.elapsed_at(k))
            carried = outcome.carried
            losses.append(self.world.loss(outcome, window.after[:, k], window.reward[:, k], window.terminal[:, k]))
            rates.append(outcome.spike_rate.mean())
        excess = (torch.stack(rates).mean() - own.spike_rate).nan_to_num(0.0).clamp(min=0.0)
        loss = torch.stack(losses).mean() + own.spike_cost * excess.square()
        return step(self._optimizer, loss, own.gradient_norm)

    def update_agent(self, window: Window, purpose: str, number: int) -> dict[str, float]:
        """Takes one step of actor and critic in imagination, which begins at the last states of some windows."""
        own = self.settings.agent
        generator = stream(self.seed, purpose, number)
        noise = self.space.noise((own.horizon, len(window.before)), generator)
        if own.start_noise > 0:
            drawn = torch.from_numpy(generator.standard_normal(window.before[:, -1].shape, np.float32))
            before = window.before.clone()
            before[:, -1] += own.start_noise * self.world.scale * drawn
            window = window._replace(before=before)
        reward = intrinsic.make(own.intrinsic, self.world, self.memory, self._size, derive(self.seed, 'cells'))
        return self.agent.update(*imagine(self.world, self.agent, own, window, noise, reward))

    def judge_actor(self, number: int) -> Verdict:
        """Compares the actor in use with the last one kept; if it is worse, learning goes on from that one's agent."""
        verdict, is_refused = self.gate.judge(stream(self.seed, 'gate', number))
        if is_refused:
            self.agent.load(self._kept_agent)
        elif verdict.judged:
            self._kept_agent = self._acting_agent
        return verdict

    def hand_over(self) -> None:
        """Notes that the online learner receives the actor of now."""
        self._acting_agent = self.agent.state()

    def adopt(self, online: OnlineLearner) -> None:
        """See Consolidator."""
        super().adopt(online)
        self.gate.clear()

    def begin_sleep(self, online: State, goal: Goal) -> SleepRun:
        """See Consolidator."""
        from .sleep_run import SpikingSleepRun

        return SpikingSleepRun(self, online, goal)

    def save_row(self) -> dict[str, float | int | str]:
        """See Consolidator."""
        return {'replay_size': len(self.memory)}

    def networks(self) -> dict[str, torch.nn.Module]:
        """See Consolidator."""
        return {'actor': self.agent.actor, 'critic': self.agent.critic, 'world': self.world}

    def state(self) -> dict[str, State]:
        """Returns what is learned, and the memory."""
        return {CONSOLIDATOR: self.learner_state(), MEMORY: self.memory.state()}

    def learner_state(self) -> State:
        """Returns everything but the memory, by name."""
        optimizer = optimizer_state('optimizer.model', self._optimizer)
        agents = {'kept': self._kept_agent, 'acting': self._acting_agent}
        # Often both are the same tensors, which a file does not take.
        kept = {f'{which}.{name}': t.clone() for which, agent in agents.items() for name, t in agent.items()}
        kept['last_in_memory'] = torch.tensor(self._last_in_memory)
        learned = module_state('model', self.world) | self.agent.state() | optimizer
        return self.counters() | learned | self.gate.state() | kept

    def load(self, parts: dict[str, State]) -> None:
        """See Consolidator."""
        self.load_learner(parts[CONSOLIDATOR])
        self.memory.load(parts[MEMORY])

    def load_learner(self, state: State) -> None:
        """Takes everything but the memory back."""
        self.load_counters(state)
        load_module('model', self.world, state)
        load_optimizer('optimizer.model', self._optimizer, state)
        self.agent.load(state)
        self.gate.load(state)
        self._kept_agent, self._acting_agent = select('kept', state), select('acting', state)
        self._last_in_memory = int(state['last_in_memory'])
