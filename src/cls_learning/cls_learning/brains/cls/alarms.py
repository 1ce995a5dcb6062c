"""Derives alarms from experiences: camera changed, images delayed, another scene, errors risen, nothing learned."""

from collections.abc import Mapping

import torch
from torch import Tensor

from cls_common.transition import Experience

from ...evaluation.change_detection import ChangeDetectionSettings, ChangeDetector
from ...evaluation.history import EvaluationHistory
from ...memory.static_scene import StaticScenes
from .camera_watch import CameraWatch
from .image_delay import ImageDelay

# Steps for which a change of scene is shown.
_SHOWN_FOR = 500


class Watch:
    """Monitors every experience, in order.

    Attributes:
        change: finds a lasting rise of the error of Slow, which hardly learns awake; calibrated after each sleep. It
            says that something changed, and the other alarms what.
        has_changed: whether it found a change since the last anchor; always True where anchors do not wait for one.
        scene_changes: episodes that began with another scene, the last one at the step `scene_changed_at`.

    Args:
        anchors: whether anchors wait for a change. Then the detector goes on through a sleep, since the errors of a
            better Slow are lower, which is no change; else changes just after a sleep would be taken as usual.
    """

    def __init__(self, *, anchors: bool = False) -> None:
        self._anchors, self.has_changed = anchors, not anchors
        self._camera, self._delay = CameraWatch(), ImageDelay()
        # Of errors that fall in every sleep, `adwin` found 4 of 7 changes of scene and Page-Hinkley 1, both without a
        # false alarm (20 scenes in turn, tuning environment, the first eight).
        self.change = ChangeDetector(ChangeDetectionSettings(detector='adwin' if anchors else 'page_hinkley'))
        self._step = self._episode = 0
        self.scene_changes, self.scene_changed_at = 0, -1

    def observe(self, experience: Experience) -> dict[str, float]:
        """Adds one experience; returns image_delay, the total delay of images in steps."""
        transition = experience.transition
        if experience.episode > self._episode > 0 and not transition.boundary:
            self.scene_changes, self.scene_changed_at = self.scene_changes + 1, experience.sequence
        self._step, self._episode = experience.sequence, experience.episode
        self._camera.observe(transition.z_next, transition.joints_next)
        self._delay.observe(transition)
        return {'image_delay': float(self._delay.steps)}

    def observe_error(self, error: float) -> None:
        """Adds the error of Slow in one step, before it learned the step."""
        self.has_changed |= self.change.observe(error)

    def end_sleep(self, *, anchored: bool) -> None:
        """Begins another calibration where one is due; `anchored`: the sleep made an anchor."""
        if not self._anchors or self.change.is_changed:
            self.change.refreeze()
        self.has_changed = not self._anchors or (self.has_changed and not anchored)

    def alarms(self, history: EvaluationHistory, static_scenes: StaticScenes) -> list[str]:
        """Returns the present alarms, in words."""
        late, changed_at = self._delay.steps, self.scene_changed_at
        what = (
            'taken into account' if late == self._delay.taken else 'they show an earlier action; raise the settle time'
        )
        found = {
            f'images are {late} {"step" if late == 1 else "steps"} late: {what}': late > 0,
            'nothing is learned: do views change with actions, and do images and joints belong together?': (
                history.learns_nothing
            ),
            'the model ignores actions': history.ignores_actions,
            'the camera changed': self._camera.is_other,
            'prediction errors have risen: did something change around the robot?': self.change.is_changed,
            f'another scene: a new episode began at step {changed_at}': (
                self.scene_changes > 0 and self._step - changed_at < _SHOWN_FOR
            ),
            'the scene moves: sleep replays real steps alone': static_scenes.is_moving(self._episode),
        }
        return [text for text, holds in found.items() if holds]

    def state(self) -> dict[str, Tensor]:
        """Returns the state of scene changes, and of the detector of changes where anchors wait for it.

        What else is watched is measured again within some hundred steps.
        """
        scenes = [self._step, self._episode, self.scene_changes, self.scene_changed_at]
        own = {'change.found': torch.tensor(self.has_changed), **self.change.state()} if self._anchors else {}
        return {'watch.scenes': torch.tensor(scenes), **{f'watch.{name}': value for name, value in own.items()}}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Restores the state; empty for a state of an older version."""
        if self._anchors:
            self.change.load({name.removeprefix('watch.'): value for name, value in state.items()})
            self.has_changed = bool(state['watch.change.found'])
        else:
            self.change.refreeze()
        known = state.get('watch.scenes', torch.tensor([0, 0, 0, -1]))
        self._step, self._episode, self.scene_changes, self.scene_changed_at = known.tolist()
