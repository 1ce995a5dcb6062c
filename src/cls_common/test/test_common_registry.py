"""Implementations by name: ours, those of installed packages, and the settings that these bring."""

from collections.abc import Callable
import dataclasses
from pathlib import Path
import subprocess
import sys

import pytest

from cls_common.errors import UserError
from cls_common.registry import Registry
from cls_common.settings import group, plugin_group, PluginSettings, setting, Settings

# A package of "ours", in which `contract` and `tools` are no implementations.
OURS = {
    '__init__.py': '', 'contract.py': '', 'tools.py': '', '_private.py': '', 'alpha.py': 'WORD = "ours"',
    'beta/__init__.py': 'WORD = "a package"',
}  # fmt: skip
KINDS = Registry('zoo.kinds', 'kind', exclude=('tools',))
Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Returns a function that installs a package of one module, with entry points, as pip would lay it out."""
    for name, text in OURS.items():
        file = tmp_path / 'ours' / 'zoo' / 'kinds' / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    (tmp_path / 'ours' / 'zoo' / '__init__.py').write_text('')
    monkeypatch.syspath_prepend(tmp_path / 'ours')
    before = set(sys.modules)

    def add(package: str, text: str, *names: str) -> None:
        folder = tmp_path / package
        (folder / f'{package}-1.dist-info').mkdir(parents=True)
        (folder / f'{package}.py').write_text(text)
        (folder / f'{package}-1.dist-info' / 'METADATA').write_text(f'Name: {package}\nVersion: 1\n')
        points = '\n'.join(f'{name} = {package}' for name in names)
        (folder / f'{package}-1.dist-info' / 'entry_points.txt').write_text(f'[zoo.kinds]\n{points}\n')
        monkeypatch.syspath_prepend(folder)

    yield add
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_names_are_modules_sub_packages_and_entry_points(install: Install) -> None:
    install('others', 'WORD = "theirs"', 'gamma')
    assert KINDS.names() == ['alpha', 'beta', 'gamma']
    assert KINDS.installed() == ['gamma']
    assert [KINDS.find(name).WORD for name in KINDS.names()] == ['ours', 'a package', 'theirs']


def test_listing_names_imports_no_implementation(install: Install) -> None:
    install('others', 'raise RuntimeError("imported")', 'gamma')
    assert 'gamma' in KINDS.names()
    KINDS.check('gamma')
    assert not {'zoo.kinds', 'others'} & set(sys.modules)


def test_an_unknown_name_is_refused_with_the_known_ones(install: Install) -> None:
    install('others', '', 'gamma')
    for name in ('delta', 'contract', 'tools', '_private', 'delta:more'):
        with pytest.raises(UserError, match=rf"unknown kind '{name}'; expected one of alpha, beta, gamma$"):
            KINDS.find(name)


def test_what_follows_the_colon_is_the_argument(install: Install) -> None:
    install('others', 'ARGUMENT = "ID"\ndef make(*given, **named): return given, named', 'gamma')
    assert KINDS.find('gamma:a:b') is sys.modules['others']
    assert KINDS.make('gamma:a:b', 1, two=2) == ((1,), {'two': 2, 'argument': 'a:b'})
    for name in ('gamma', 'gamma:'):
        with pytest.raises(UserError, match=rf"kind '{name}'; expected gamma:ID"):
            KINDS.find(name)
    for name in ('alpha:', 'alpha:b'):
        with pytest.raises(UserError, match=r"kind 'alpha' takes no argument"):
            KINDS.find(name)


@pytest.mark.parametrize('text', ['import does_not_exist', 'raise ValueError("two\\nlines")', 'syntax error'])
def test_a_plug_in_that_can_not_be_imported_is_one_line_that_names_package_and_cause(
    install: Install, text: str
) -> None:
    install('others', text, 'gamma')
    with pytest.raises(
        UserError, match=r"kind 'gamma' of package 'others'.*(does_not_exist|two lines|syntax)"
    ) as caught:
        KINDS.find('gamma')
    assert '\n' not in str(caught.value)
    assert KINDS.find('alpha').WORD == 'ours'


def test_a_name_defined_twice_is_refused_with_both_places(install: Install) -> None:
    install('others', '', 'alpha', 'gamma')
    install('thirds', '', 'gamma')
    with pytest.raises(UserError, match=r"'alpha' is defined 2 times; found zoo.kinds.alpha and package 'others'"):
        KINDS.find('alpha')
    with pytest.raises(UserError, match=r"'gamma' is defined 2 times; found package '(others|thirds)'.*and package"):
        KINDS.find('gamma')


# Settings of plug-ins.

OWN = """
import dataclasses
from cls_common.settings import setting, Settings

@dataclasses.dataclass(frozen=True, kw_only=True)
class OwnSettings(Settings):
    rank: int = setting(3, 'how many', low=1)

SETTINGS = OwnSettings
"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Inner(Settings):
    kind: str = setting('alpha', 'which')
    beta: int = setting(1, 'another')
    plugins: PluginSettings = plugin_group(KINDS, 'kind')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outer(Settings):
    size: int = setting(1, 'how big')
    inner: Inner = group(Inner)


def test_settings_of_a_chosen_plug_in_stand_beside_the_setting_that_chooses_it(install: Install) -> None:
    install('others', OWN, 'gamma')
    settings = Outer.from_flat({'inner.kind': 'gamma', 'inner.gamma.rank': 5})
    assert settings.inner.plugins.of(sys.modules['others'].SETTINGS).rank == 5
    assert settings.to_flat() == {'size': 1, 'inner.kind': 'gamma', 'inner.beta': 1, 'inner.gamma.rank': 5}
    assert Outer.from_flat(settings.to_flat()) == settings
    assert dataclasses.replace(settings, size=2).inner == settings.inner
    assert Outer.from_flat({'inner.kind': 'gamma'}).to_flat()['inner.gamma.rank'] == 3
    with pytest.raises(UserError, match=r"'inner.gamma.rank'; expected 1 to any; found 0"):
        Outer.from_flat({'inner.kind': 'gamma', 'inner.gamma.rank': 0})


def test_a_plug_in_that_is_not_chosen_changes_and_imports_nothing(install: Install) -> None:
    install('others', OWN, 'gamma')
    assert Outer.from_flat({'size': 2}).to_flat() == {'size': 2, 'inner.kind': 'alpha', 'inner.beta': 1}
    assert 'others' not in sys.modules
    assert Outer.from_flat({'inner.gamma.rank': 3}) == Outer()
    with pytest.raises(UserError, match=r"parameters of kind 'gamma'; expected kind to name it"):
        Outer.from_flat({'inner.gamma.rank': 4})
    with pytest.raises(LookupError):
        Outer().inner.plugins.of(sys.modules['others'].SETTINGS)


def test_a_file_of_ours_may_bring_settings_too(install: Install, tmp_path: Path) -> None:
    (tmp_path / 'ours' / 'zoo' / 'kinds' / 'omega.py').write_text(OWN)
    assert Outer.from_flat({'inner.kind': 'omega'}).to_flat()['inner.omega.rank'] == 3
    assert 'inner.omega.rank' in dict(Outer.leaves())


def test_only_what_declares_settings_is_imported_to_list_them(install: Install) -> None:
    install('others', 'raise RuntimeError("imported")', 'gamma')
    install('thirds', OWN, 'delta')
    assert 'inner.delta.rank' in dict(Outer.leaves())
    assert 'others' not in sys.modules and 'zoo.kinds' not in sys.modules
    assert Outer.from_flat({'inner.kind': 'gamma'}).inner.kind == 'gamma'


def test_leaves_and_the_error_of_unknown_names_list_settings_of_installed_plug_ins(install: Install) -> None:
    install('others', OWN, 'gamma')
    install('broken', 'import does_not_exist', 'delta')
    assert [name for name, _ in Outer.leaves()] == ['size', 'inner.kind', 'inner.beta', 'inner.gamma.rank']
    assert [name for name, _ in Outer.leaves(with_plugins=False)] == ['size', 'inner.kind', 'inner.beta']
    with pytest.raises(UserError, match=r"'inner.gamma.rnk'; expected one of .*inner.gamma.rank"):
        Outer.from_flat({'inner.gamma.rnk': 3})
    with pytest.raises(UserError, match=r"kind 'delta' of package 'broken'.*does_not_exist"):
        Outer.from_flat({'inner.delta.rank': 3})


def test_settings_of_a_plug_in_that_was_uninstalled_name_the_plug_in(install: Install) -> None:
    with pytest.raises(UserError, match=r"unknown kind 'gamma'; expected one of alpha, beta"):
        Outer.from_flat({'inner.kind': 'gamma', 'inner.gamma.rank': 5})


def test_two_settings_of_one_name_are_refused(install: Install) -> None:
    install('others', OWN, 'kind')
    with pytest.raises(UserError, match=r"settings of the kind 'kind'.*Inner has 'kind' already"):
        list(Outer.leaves())


def test_the_registry_imports_nothing_heavy() -> None:
    program = 'import sys, cls_common.registry; print({"torch", "numpy", "rclpy"} & set(sys.modules))'
    assert subprocess.check_output([sys.executable, '-c', program], text=True).strip() == 'set()'
