"""What documents and hints tell people to type exists: targets of make, commands and options of ./cls, launch files."""

from pathlib import Path
import re

import click
import pytest

from cls_cli.entry import cli, COMMANDS
from cls_cli.old_spellings import modernize

ROOT = Path(__file__).resolve().parents[1]
# Words that follow `./cls` in sentences.
_SENTENCE = ('again', 'and', 'command', 'does', 'made', 'sets', 'until')
DOCUMENTS = sorted([*ROOT.glob('*.md'), *ROOT.glob('docs/*.md'), *ROOT.glob('src/**/README.md')])


def commands(path: Path) -> list[str]:
    """Returns what stands in code, inline or in blocks, one command a line, without its comment."""
    text = path.read_text(encoding='utf-8').replace('\\\n', ' ')
    blocks = re.findall(r'```(?:sh|bash|console)?\n(.*?)```', text, re.DOTALL)
    inline = re.findall(r'`([^`\n]+)`', re.sub(r'```.*?```', '', text, flags=re.DOTALL))
    lines = [line for block in blocks for line in block.splitlines()] + inline
    return [re.sub(r'\s+#.*', '', line).strip(' $') for line in lines]


@pytest.mark.parametrize('path', DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_documented_command_exists(path: Path) -> None:
    targets = set(re.findall(r'^([a-z]+):', (ROOT / 'Makefile').read_text(), re.MULTILINE))
    launches = {file.name for file in ROOT.glob('launch/*.launch.py')}
    wrong = []
    for line in commands(path):
        words = line.split()
        if words[:1] == ['make'] and len(words) > 1 and words[1] not in targets:
            wrong.append(line)
        if words[:3] == ['ros2', 'launch', 'cls_learning'] and words[3] not in launches:
            wrong.append(line)
        if words[:1] == ['./cls'] and len(words) > 1 and re.match(r'(?!exec|add)[a-z]', words[1]):
            wrong += [line] if words[1] not in COMMANDS else unknown_options(words[1], words[2:])
            wrong += [note] if (note := modernize(words[1:])[1]) else []
    assert not wrong


def test_every_command_that_the_code_names_exists_and_is_no_old_spelling() -> None:
    """In messages, help and comments of the sources."""
    wrong = []
    for path in [*ROOT.glob('src/*/cls_*/**/*.py'), *ROOT.glob('setup/*.sh'), *ROOT.glob('requirements/*.in')]:
        for text in re.findall(r'\./cls ([a-z][a-z-]*(?: [a-z]+)*)', path.read_text(encoding='utf-8')):
            words = text.split()
            # A word in a sentence may follow `./cls`.
            is_command = words[0] in COMMANDS and not modernize(words)[1]
            wrong += [] if is_command or words[0] in _SENTENCE else [f'{path.relative_to(ROOT)}: ./cls {text}']
    assert not wrong


def unknown_options(name: str, words: list[str]) -> list[str]:
    command = cli.get_command(click.Context(cli), name)
    assert command
    if isinstance(command, click.Group) and words and not words[0].startswith('-'):
        inner = command.get_command(click.Context(command), words[0])
        if inner is None:
            return [f'./cls {name} {words[0]}']
        name, command = f'{name} {words[0]}', inner
    known = {text for option in command.params for text in (*option.opts, *option.secondary_opts)}
    given = {word.partition('=')[0] for word in words if word.startswith('--')}
    return [f'./cls {name} {option}' for option in sorted(given - known - {'--help'})]
