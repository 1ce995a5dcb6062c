"""The tables of parameters in the READMEs of the package and of two brains equal the code."""

from pathlib import Path
import re

import pytest

from cls_common.settings import Settings
from cls_learning.brains.developmental.settings import DevelopmentalSettings
from cls_learning.config import LearningSettings
from cls_learning.node_settings import FastNodeSettings, SlowNodeSettings

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / 'README.md').read_text(encoding='utf-8')


def rows(heading: str) -> dict[str, str]:
    """Returns names and defaults of the table below a line of text."""
    table = TEXT.split(heading, 1)[1].split('\n\n', 2)[1]
    found = {}
    for line in table.splitlines()[2:]:
        names, defaults, *_ = (cell.strip() for cell in line.strip('|').split('|'))
        values = defaults.split(', ')
        found |= dict(zip(re.findall(r'`([^`]+)`', names), values, strict=True))
    return found


def text_of(default: object) -> str:
    return 'empty' if default == '' else str(default)


@pytest.mark.parametrize(
    'heading, settings', [('Of `fast_learner`:', FastNodeSettings), ('Of `slow_learner`,', SlowNodeSettings)]
)
def test_the_tables_of_node_parameters_equal_the_settings(heading: str, settings: type[Settings]) -> None:
    recipe = dict(LearningSettings.leaves(with_plugins=False))
    own = {name: text_of(field.default) for name, field in settings.leaves(with_plugins=False) if name not in recipe}
    assert rows(heading) == own


@pytest.mark.parametrize('brain, recipe', [('cls', LearningSettings), ('developmental', DevelopmentalSettings)])
def test_the_table_of_the_recipe_equals_the_settings(brain: str, recipe: type[Settings]) -> None:
    text = (ROOT / 'cls_learning' / 'brains' / brain / 'README.md').read_text(encoding='utf-8')
    table = text.split('| group | names and defaults |', 1)[1].split('\n\n', 1)[0]
    found = {}
    for line in table.splitlines()[2:]:
        group, values = (cell.strip() for cell in line.strip('|').split('|'))
        for name, default in re.findall(r'`(\w+)` ([^,|]+?)(?:,|$)', values):
            found[f'{group.strip("`")}.{name}'.strip('.')] = default
    assert found == {name: text_of(field.default) for name, field in recipe.leaves(with_plugins=False)}
