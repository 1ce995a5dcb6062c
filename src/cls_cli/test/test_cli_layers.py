"""A command whose packages are missing installs them, or names the command that does."""

import os
from pathlib import Path
import subprocess
import sys

import pytest

from cls_cli.layers import LAYERS

# Runs the command line where some packages can't be found, as before a layer was added.
WITHOUT = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] in names:
            raise ModuleNotFoundError(f'No module named {name!r}', name=name)

names = sys.argv.pop(1).split(',')
sys.meta_path.insert(0, Missing())
from cls_cli.entry import main
sys.exit(main(sys.argv[1:]))
"""
COMMANDS = {
    'export': ['sessions', 'export', '{session}', '--format', 'lerobot', '--output', '{output}'],
    'bench': ['bench', 'learning', '--short', '--cache-dir', '{output}'],
}


def run_without(layer: str, folder: Path, root: Path | None) -> subprocess.CompletedProcess[str]:
    session = folder / 'session'
    session.mkdir()
    (session / 'metadata.yaml').touch()
    arguments = [text.format(session=session, output=folder / 'made') for text in COMMANDS[layer]]
    environment = {name: value for name, value in os.environ.items() if name != 'CLS_ROOT'}
    if root is not None:
        environment['CLS_ROOT'] = str(root)
    command = [sys.executable, '-c', WITHOUT, ','.join(LAYERS[layer]), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize('layer', LAYERS)
def test_a_missing_package_is_one_line_with_the_command_that_adds_it(layer: str, tmp_path: Path) -> None:
    done = run_without(layer, tmp_path, None)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert all(name in line for name in LAYERS[layer])
    assert f'-m pip install --no-deps --require-hashes -r requirements/{layer}.txt' in line
    assert not (tmp_path / 'made').exists()


@pytest.mark.parametrize('layer', LAYERS)
def test_a_command_adds_its_layer_by_itself(layer: str, tmp_path: Path) -> None:
    # That it is called, and what it says is shown; what it then does: test/test_setup.py.
    script = tmp_path / 'cls'
    script.write_text('#!/bin/sh\necho "asked to $@" >&2\n')
    script.chmod(0o755)
    done = run_without(layer, tmp_path, tmp_path)
    first, last = done.stderr.splitlines()
    assert first == f'asked to add {layer}'
    assert done.returncode == 2 and last.startswith('error: ')
