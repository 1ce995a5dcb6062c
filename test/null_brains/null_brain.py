"""The smallest brain: it acts the same in every step, counts steps, and sleeps in one phase that does nothing."""

from dataclasses import dataclass

from cls_common.settings import setting, Settings
from cls_common.transition import Experience
from cls_learning.brain import Brain, Consolidator, Input, OnlineLearner, Progress, SleepRun


@dataclass(frozen=True, kw_only=True)
class NullSettings(Settings):
    cycle: int = setting(20, 'Wake steps of a cycle; 0: it never sleeps by itself.', low=0)
    rest: int = setting(3, 'Steps of the phase `rest`.', low=1)


class NullLearner(OnlineLearner):
    def __init__(self, model):
        super().__init__()
        self.robot, self.wake_steps_per_cycle = model.robot, model.settings.cycle

    def act(self, observation, joints, mode, steps):
        return self.robot.high

    def learn(self, transition, episode=None):
        self.count(transition, episode)
        return Experience(transition=transition, sequence=self.total_steps, episode=self.episode)


class NullConsolidator(Consolidator):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def learn(self, experience):
        self.count(experience)
        return {'counted': float(self.sequence)}

    def begin_sleep(self, online, goal):
        return NullSleep(self.model, online, goal)


class NullSleep(SleepRun):
    def __init__(self, model, online, goal):
        super().__init__()
        self._learner, self._steps = NullLearner(model), goal.steps.get('rest') or model.settings.rest
        self._learner.load(online)

    def run(self):
        for step in range(1, self._steps + 1):
            self.statistics.status['rest'], self.statistics.steps['rest'] = 'ok', step
            yield Progress('rest', step, self._steps, 0.0)

    def finish(self):
        self._learner.begin_cycle()
        return self._learner.state()

    def roll_back(self):
        pass


class NullBrain(Brain):
    name, settings, headlines = 'null', NullSettings, {'counted': True}

    def inputs(self, settings, robot):
        return (Input('camera', 'image', (8, 8)),) if 'camera' in robot.modalities else (Input('state', 'vector'),)

    def needs_encoder(self, settings):
        return False

    def phases(self, settings):
        return ('rest',)

    def is_weight(self, part, name):
        return True

    def make_online_learner(self, model):
        return NullLearner(model)

    def make_consolidator(self, model, device):
        return NullConsolidator(model)


BRAIN = NullBrain()
