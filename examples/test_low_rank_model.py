"""The low-rank world model: the contract, its setting, and a model that is trained with it and resumed."""

import json
from pathlib import Path

import pytest

from cls_common.testing import refusal
from cls_learning import testing
from cls_learning.config import LearningSettings
from cls_training.training import train, TrainOptions


@pytest.fixture
def make_model(installed: None) -> testing.MakeModel:
    return testing.maker('low_rank')


class TestLowRank(testing.WorldModelSuite):
    """The contract of every world model."""


def with_rank(rank: int) -> LearningSettings:
    return LearningSettings.from_flat({'network.world_model': 'low_rank', 'network.low_rank.rank': rank})


def test_the_rank_decides_on_its_size() -> None:
    sizes = [testing.weights(testing.maker('low_rank', with_rank(rank))()).numel() for rank in (1, 2, 5)]
    assert [size - testing.Z_SIZE for size in sizes] == [(2 * testing.Z_SIZE + 1 + 3) * rank for rank in (1, 2, 5)]
    assert 'expected 1 to 4096' in refusal(with_rank, 0)


def test_a_model_is_made_and_resumed_with_its_settings(tmp_path: Path) -> None:
    chosen = {'network.world_model': 'low_rank', 'network.low_rank.rank': 4}
    options = {'models_dir': tmp_path, 'steps': 6, 'encoder': 'thumbnail'}
    first = train(TrainOptions(model='a', seed=1, overrides=chosen, **options))
    assert json.loads((tmp_path / 'a' / 'config.json').read_text())['values']['network.low_rank.rank'] == 4
    assert train(TrainOptions(model='a', **options)) != first
    changed = {**chosen, 'network.low_rank.rank': 5}
    said = refusal(train, TrainOptions(model='a', overrides=changed, **options))
    assert "'network.low_rank.rank' for the existing model 'a'; expected 4" in said
