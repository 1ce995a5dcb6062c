"""Prediction skill over the last steps: 1 minus the ratio of the error to that of copying the observation."""

import numpy as np
import pytest

from cls_learning.evaluation.prediction_skill import PredictionSkill


def test_skill_compares_errors_of_the_last_steps_with_copying() -> None:
    skill = PredictionSkill(length=3)
    assert np.isnan(skill.value())
    skill.add(0.0, 0.0)
    assert np.isnan(skill.value()), 'nothing changed'
    skill.add(1.0, 4.0)
    assert skill.value() == 0.75
    skill.add(11.0, 4.0)
    assert skill.value() == -0.5
    skill.add(0.0, 4.0)
    skill.add(0.0, 4.0)
    assert skill.value() == pytest.approx(1 - 11 / 12), 'the last three'
