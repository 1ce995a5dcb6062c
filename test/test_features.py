"""docs/features.md has each feature of the original systems once, and it and the glossary name only what exists."""

from pathlib import Path
import re

import pytest

from cls_cli.entry import COMMANDS

ROOT = Path(__file__).resolve().parents[1]
FEATURES = ROOT / 'docs' / 'features.md'
GLOSSARY = ROOT / 'docs' / 'glossary.md'
# Features of each of the five systems.
COUNTS = {'000': 109, '001': 170, '002': 38, '003': 29, '004': 62}


def rows(path: Path) -> list[list[str]]:
    """Returns the cells of every row of every table that begins `| x | y | where |`, without heads and rules."""
    lines = [line for line in path.read_text(encoding='utf-8').splitlines() if line.startswith('|')]
    cells = [[cell.strip() for cell in line.strip('|').split('|')] for line in lines]
    return [row for row in cells if row[-1] != 'where' and set(row[0]) != {'-'}]


def find(path: str) -> Path:
    """Returns where a path of these documents leads: from the root, or `cls_x/y` as short for `src/cls_x/cls_x/y`."""
    package = path.partition('/')[0]
    return ROOT / 'src' / package / path if package.startswith('cls_') else ROOT / path


@pytest.mark.parametrize('path', [FEATURES, GLOSSARY], ids=lambda path: str(path.name))
def test_every_row_has_three_cells_and_none_is_empty(path: Path) -> None:
    assert [row for row in rows(path) if len(row) != 3 or not all(row)] == []


@pytest.mark.parametrize('system', COUNTS)
def test_every_id_of_a_system_is_there_once_and_in_order(system: str) -> None:
    section = re.search(rf'^## {system} .*?(?=^## |\Z)', FEATURES.read_text(encoding='utf-8'), re.MULTILINE | re.DOTALL)
    assert section
    ids = re.findall(r'^\| *(\S+) *\|', section.group(), re.MULTILINE)[2:]  # without head and rule
    assert ids == [f'{system}-{number:03d}' for number in range(1, COUNTS[system] + 1)]


def test_there_are_no_other_ids() -> None:
    assert len(rows(FEATURES)) == sum(COUNTS.values())


def test_every_feature_has_a_place_or_is_said_to_be_missing() -> None:
    silent = [row for row in rows(FEATURES) if '`' not in row[2] and row[2] != 'not yet']
    assert silent == []


@pytest.mark.parametrize('path', [FEATURES, GLOSSARY], ids=lambda path: str(path.name))
def test_every_path_class_and_command_exists(path: Path) -> None:
    wrong = []
    for name, _, where in rows(path):
        quoted = re.findall(r'`([^`]+)`', where)
        commands = [text.split()[1] for text in quoted if text.startswith('./cls ')]
        classes = [text for text in quoted if re.fullmatch(r'[A-Z][A-Za-z]+', text)]
        paths = [text for text in quoted if not text.startswith('./cls ') and text not in classes]
        wrong += [f'{name}: {text}' for text in commands if text not in COMMANDS]
        wrong += [f'{name}: {text}' for text in paths if not find(text).exists()]
        sources = [find(text).read_text(encoding='utf-8') for text in paths if find(text).is_file()]
        wrong += [
            f'{name}: class {text}'
            for text in classes
            if not any(re.search(rf'^class {text}\b', source, re.MULTILINE) for source in sources)
        ]
    assert wrong == []
