"""Help, completion and old spellings of all commands."""

from collections.abc import Iterator
import os
from pathlib import Path
import re
import subprocess
import sys

import click
from click.testing import CliRunner
import pytest

from cls_bringup.arguments import ARGUMENTS
from cls_cli import entry, old_spellings
from cls_cli.invocation import as_called
from cls_cli.old_spellings import modernize

ROOT = Path(__file__).resolve().parents[3]


def commands() -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Yields every command and group, with the words that call it."""
    context = click.Context(entry.cli)
    for name in entry.COMMANDS:
        command = entry.cli.get_command(context, name)
        assert command
        yield (name,), command
        if isinstance(command, click.Group):
            yield from (((name, inner), found) for inner, found in command.commands.items())


ALL = dict(commands())
OPTIONS = [
    pytest.param(option, id=' '.join([*words, option.opts[-1]]))
    for words, command in ALL.items()
    for option in command.params
    if isinstance(option, click.Option) and not option.hidden
]


@pytest.mark.parametrize('words', ALL, ids=' '.join)
def test_help_has_a_sentence_and_examples_and_fits_the_terminal(words):
    done = CliRunner().invoke(entry.cli, [*words, '--help'], terminal_width=80)
    assert done.exit_code == 0
    assert re.search(rf'^Usage: \S+ {" ".join(words)}\b', done.output)
    assert re.search(r'^  [A-Z].*[.:]$', done.output.split('\n\n')[1].rstrip(), re.MULTILINE)
    assert '\n  Examples:\n    ' in done.output
    assert max(map(len, done.output.splitlines())) <= 82
    # No first line of a command is cut in the list of its group.
    assert not re.search(r'\.\.\.$', done.output.partition('Commands:')[2], re.MULTILINE)


@pytest.mark.parametrize('words', ALL, ids=' '.join)
def test_examples_are_commands_with_options_that_exist(words):
    text = (ALL[words].epilog or '').replace('\\\n', ' ')
    lines = [line.split('#')[0].split() for line in text.splitlines() if line.strip().startswith('./cls ')]
    for line in lines:
        called = next(ALL[tuple(line[1:n])] for n in (3, 2) if tuple(line[1:n]) in ALL)
        known = {name for option in called.params for name in (*option.opts, *option.secondary_opts)} | {'--help'}
        if called.name != 'exec':
            assert {word for word in line if word.startswith('--')} <= known, line


@pytest.mark.parametrize('option', OPTIONS)
def test_an_option_is_a_sentence_with_its_default(option):
    assert option.help and re.fullmatch(r'[A-Z].*\.', option.help, re.DOTALL)
    # A flag without its opposite is off if it is not given.
    is_flag = option.is_flag and not option.secondary_opts
    assert is_flag or option.required or option.show_default


@pytest.mark.parametrize('name', ['up', 'play', 'train', 'replay'])
def test_options_of_a_graph_have_the_texts_of_the_launch_arguments(name):
    found = [option for option in ALL[(name,)].params if isinstance(option, click.Option) and option.name in ARGUMENTS]
    assert len(found) > 8
    assert [option.name for option in found if not option.help.startswith(ARGUMENTS[option.name].text)] == []


def test_the_list_of_commands_says_what_the_commands_say():
    for name, (_, text) in entry.COMMANDS.items():
        help = ALL[(name,)].help
        assert help and help.split('\n\n')[0].replace('\n', ' ') == text


def test_an_option_of_several_commands_has_one_type_in_all_of_them():
    kinds = {}
    for words, command in ALL.items():
        for option in command.params:
            if isinstance(option, click.Option):
                kind = 'path' if isinstance(option.type, click.Path) else option.type.name.removesuffix(' range')
                kinds.setdefault(option.opts[-1], {}).setdefault((kind, option.is_flag), []).append(words)
    assert {name: found for name, found in kinds.items() if len(found) > 1} == {}


def test_version_is_that_of_the_package():
    done = CliRunner().invoke(entry.cli, ['--version'])
    assert re.fullmatch(r'cls \d+\.\d+\.\d+\n', done.output)


@pytest.mark.parametrize(
    'old, new, note',
    [
        (['models'], ['models', 'list'], 'note: `./cls models` is now `./cls models list`'),
        (['hash', 'a'], ['models', 'hash', 'a'], 'note: `./cls hash` is now `./cls models hash`'),
        (['config', 'show', 'a'], ['models', 'show', 'a'], 'note: `./cls config show` is now `./cls models show`'),
        (
            ['eyes', 's', '--out=f', '--steps', '5'],
            ['encoder', 'train', 's', '--output=f', '--updates', '5'],
            'note: `./cls eyes --out --steps` is now `./cls encoder train --output --updates`',
        ),
        (['run', '--rate', '2'], ['run', '--max-rate', '2'], 'note: `./cls run --rate` is now `./cls run --max-rate`'),
        (
            ['evaluate', '--model_path', 'a', '--visualize'],
            ['evaluate', 'a', '--render=evaluation.mp4'],
            'note: `./cls evaluate --model_path --visualize` is now `./cls evaluate --render=evaluation.mp4`',
        ),
        (['models', 'show', 'a', '--json'], ['models', 'show', 'a', '--json'], ''),
        (['run', '--', '--rate'], ['run', '--', '--rate'], ''),
        (['models', '--help'], ['models', '--help'], ''),
        (['up', '--steps', '3'], ['up', '--steps', '3'], ''),
        ([], [], ''),
    ],
)
def test_an_old_spelling_becomes_the_new_one_with_a_note(old, new, note):
    assert modernize(old) == (new, note)
    assert modernize(new) == (new, '')


def test_every_new_spelling_of_the_table_exists_and_no_old_one_does():
    assert all(new in ALL for new in old_spellings.COMMANDS.values())
    for words, renamed in old_spellings.OPTIONS.items():
        known = {name for option in ALL[words].params for name in option.opts}
        new = {name.partition('=')[0] for name in renamed.values() if name}
        assert new <= known and not set(renamed) & known, words


def test_an_old_spelling_works_and_its_note_is_one_line_on_stderr(capsys, tmp_path):
    (tmp_path / 'models').mkdir()
    assert entry.main(['models', '--models-dir', str(tmp_path)]) == 0
    said = capsys.readouterr()
    assert (said.out, said.err) == ('No models found.\n', 'note: `./cls models` is now `./cls models list`\n')
    assert entry.main(['models', 'list', '--models-dir', str(tmp_path)]) == 0
    assert capsys.readouterr().err == ''


def complete(*words: str, folder: Path | None = None) -> set[str]:
    """Returns what bash is offered after these words, of which the last one is incomplete."""
    environment = {
        **os.environ,
        '_CLS_COMPLETE': 'bash_complete',
        'COMP_WORDS': ' '.join(['cls', *words]),
        'COMP_CWORD': str(len(words)),
    }
    command = [sys.executable, '-m', 'cls_cli']
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=True)
    return {line.partition(',')[2] for line in done.stdout.splitlines()}


def test_completion_offers_commands_options_choices_and_models(tmp_path):
    assert {'up', 'models', 'shell'} <= complete('')
    assert complete('mod') == {'mode', 'models'}
    assert complete('models', 'e') == {'export'}
    assert {'--steps', '--startup-timeout'} <= complete('up', '--st')
    assert complete('mode', 'c') == {'curiosity'}
    for name in ('first', 'second', '.deleting/third'):
        (tmp_path / 'models' / name).mkdir(parents=True)
        (tmp_path / 'models' / name / 'config.json').touch()
    assert complete('models', 'show', '', folder=tmp_path) == {'first', 'second'}
    assert complete('up', '--model', 'f', folder=tmp_path) == {'first'}


def test_the_shell_command_makes_bash_find_and_complete_cls(tmp_path):
    """The printed text, evaluated by bash: PATH has the folder of `cls`, and its completion function is installed."""
    script = tmp_path / 'cls'
    script.write_text('#!/bin/sh\necho "plain,from" $COMP_WORDS\n')
    script.chmod(0o755)
    asked = [sys.executable, '-m', 'cls_cli', 'shell', 'bash']
    environment = {**os.environ, 'CLS_ROOT': str(tmp_path)}
    printed = subprocess.run(asked, env=environment, capture_output=True, text=True, check=True).stdout
    typed = 'COMP_WORDS=(cls up) COMP_CWORD=1\n_cls_completion cls\necho "$COMPREPLY"\n'
    test = f'{printed}\ntype -P cls\ncomplete -p cls\n{typed}'
    done = subprocess.run(['bash', '--norc', '-c', test], capture_output=True, text=True, env={'PATH': '/usr/bin:/bin'})
    path, completion, reply = done.stdout.splitlines()
    assert path == str(script) and completion.endswith('_cls_completion cls') and reply == 'from cls up'


@pytest.mark.parametrize('shell', ['zsh', 'fish', 'tcsh'])
def test_known_shells_get_completion_and_others_are_refused(shell, capsys, monkeypatch):
    monkeypatch.setenv('CLS_ROOT', '/opt/a b')
    status = entry.main(['shell', shell])
    said = capsys.readouterr()
    if shell == 'tcsh':
        assert (status, said.err) == (2, "error: shell 'tcsh'; expected bash, zsh or fish\n")
    else:
        assert status == 0 and "'/opt/a b'" in said.out and '_CLS_COMPLETE=' in said.out


@pytest.mark.parametrize('way', ['folder', 'path', 'link'])
def test_help_names_the_command_as_it_can_be_typed(way, tmp_path):
    """The real script, called from its folder, through PATH and through a link on PATH."""
    path, command, expected = os.environ['PATH'], './cls', './cls'
    if way == 'path':
        path, command, expected = f'{ROOT}:{path}', 'cls', 'cls'
    elif way == 'link':
        (tmp_path / 'cls').symlink_to(ROOT / 'cls')
        path, command, expected = f'{tmp_path}:{path}', 'cls', 'cls'
    folder = ROOT if way == 'folder' else tmp_path
    asked = ['bash', '-c', f'{command} models hash nothing --models-dir {tmp_path}; {command} save --help']
    done = subprocess.run(asked, cwd=folder, env={**os.environ, 'PATH': path}, capture_output=True, text=True)
    assert f'Usage: {expected} save' in done.stdout and f'    {expected} save\n' in done.stdout
    assert "no model 'nothing'" in done.stderr


def test_hints_are_shown_as_the_command_was_called(monkeypatch):
    monkeypatch.setattr('cls_cli.invocation.COMMAND', 'cls')
    text = 'Start it with `./cls up`. Or: ./cls. Not /opt/x/./cls or ./cls-old.'
    assert as_called(text) == 'Start it with `cls up`. Or: cls. Not /opt/x/./cls or ./cls-old.'
