"""The layers between packages and within cls_learning hold, and every package is under them."""

from pathlib import Path
import subprocess
import tomllib

ROOT = Path(__file__).resolve().parents[1]


def test_layers_hold() -> None:
    result = subprocess.run(['lint-imports', '--no-cache'], cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr


def test_every_package_is_named_by_the_tools() -> None:
    packages = {path.parent.name for path in ROOT.glob('src/*/setup.py')}
    tools = tomllib.loads((ROOT / 'pyproject.toml').read_text(encoding='utf-8'))['tool']
    assert set(tools['importlinter']['root_packages']) == packages
    assert {Path(path).name for path in tools['mypy']['mypy_path']} == packages
    assert set(tools['ruff']['lint']['isort']['known-first-party']) == packages | {'cls_interfaces'}
    layers = ' '.join(tools['importlinter']['contracts'][0]['layers'])
    assert all(package in layers for package in packages)
