"""Each package.xml names what its package imports, so that `rosdep install` brings it."""

import ast
from pathlib import Path
import sys
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = sorted(path.parent.name for path in ROOT.glob('src/*/setup.py'))

# Import -> rosdep key, where the key is not the import's own name.
KEYS = {
    'PIL': 'python3-pil',
    'click': 'python3-click',
    'cv2': 'python3-opencv',
    'filelock': 'python3-filelock',
    'gymnasium': 'python3-gymnasium-pip',
    'hypothesis': 'python3-hypothesis',
    'jinja2': 'python3-jinja2',
    'matplotlib': 'python3-matplotlib',
    'numpy': 'python3-numpy',
    'pytest': 'python3-pytest',
    'rich': 'python3-rich',
    'rosbags': 'python3-rosbags-pip',
    'scipy': 'python3-scipy',
    'serial': 'python3-serial',
    'sklearn': 'python3-sklearn',
    'torch': 'python3-torch',
    'torchvision': 'python3-torchvision',
    'yaml': 'python3-yaml',
}
# Without a rosdep key: from requirements/, noted in each package.xml.
WITHOUT_KEY = {
    'av', 'avalanche', 'backports', 'mcap', 'nir', 'pyarrow', 'rpyc', 'safetensors', 'stable_baselines3', 'tensorboard',
    'torch_world', 'zstandard',
}  # fmt: skip
# The options of pytest in pyproject.toml need these plug-ins.
EVERY_TEST = {'python3-pytest', 'python3-pytest-timeout', 'python3-pytest-xdist'}


def imports(folder: Path) -> set[str]:
    """Returns the top-level names that the files below `folder` import, without the standard library's."""
    found: set[str] = set()
    for path in folder.rglob('*.py'):
        for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition('.')[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                found.add((node.module or '').partition('.')[0])
    return found - set(sys.stdlib_module_names)


def dependencies(package: str, *kinds: str) -> set[str]:
    manifest = ElementTree.parse(ROOT / 'src' / package / 'package.xml').getroot()
    return {entry.text or '' for kind in kinds for entry in manifest.iter(kind)}


@pytest.mark.parametrize('package', PACKAGES)
def test_package_xml_names_what_the_package_imports(package: str) -> None:
    used = imports(ROOT / 'src' / package / package) - {package}
    needed = {KEYS.get(name, name) for name in used - WITHOUT_KEY}
    assert needed <= dependencies(package, 'depend', 'exec_depend')
    text = (ROOT / 'src' / package / 'package.xml').read_text(encoding='utf-8')
    assert all(name in text for name in used & WITHOUT_KEY)


@pytest.mark.parametrize('package', PACKAGES)
def test_package_xml_names_what_the_tests_import(package: str) -> None:
    beside = {path.stem for path in ROOT.glob('src/*/test/**/*')}
    # A test may use packages above its own, which package.xml can't name: that would be a circle.
    ours = {path.parent.name for path in ROOT.glob('src/*/package.xml')}
    used = imports(ROOT / 'src' / package / 'test') - beside - ours - WITHOUT_KEY
    needed = {KEYS.get(name, name) for name in used} | EVERY_TEST
    assert needed <= dependencies(package, 'depend', 'exec_depend', 'test_depend')


@pytest.mark.parametrize('package', PACKAGES)
def test_package_xml_names_no_library_that_is_not_imported(package: str) -> None:
    used = {KEYS.get(name, name) for name in imports(ROOT / 'src' / package)}
    named = dependencies(package, 'exec_depend', 'test_depend')
    assert {name for name in named if name.startswith('python3-')} <= used | EVERY_TEST
