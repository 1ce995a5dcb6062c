"""Settings refuse what can't be meant, name it, and go to dotted names and back unchanged."""

import dataclasses
import math
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
import pytest

from cls_common.errors import UserError
from cls_common.settings import group, read_parameter_file, setting, Settings


@dataclasses.dataclass(frozen=True, kw_only=True)
class Inner(Settings):
    steps: int = setting(200, 'optimiser steps', low=0, high=10_000)
    rate: float = setting(0.5, 'learning rate', low=0.0, high=1.0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Middle(Settings):
    inner: Inner = group(Inner)
    enabled: bool = setting(True, 'whether it runs')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outer(Settings):
    name: str = setting('default', 'name of the model')
    mode: str = setting('manual', 'who decides', choices=('manual', 'random'))
    speed: float = setting(1.0, 'speed', unit='deg/s')
    middle: Middle = group(Middle)
    inner: Inner = group(Inner)


NAMES = [
    'name', 'mode', 'speed',
    'middle.inner.steps', 'middle.inner.rate', 'middle.enabled',
    'inner.steps', 'inner.rate',
]  # fmt: skip


def finite(low: float | None = None, high: float | None = None) -> st.SearchStrategy[float]:
    return st.floats(low, high, allow_nan=False, allow_infinity=False)


VALUES = st.fixed_dictionaries(
    {},
    optional={
        'name': st.text(),
        'mode': st.sampled_from(['manual', 'random']),
        'speed': finite(),
        'middle.inner.steps': st.integers(0, 10_000),
        'middle.inner.rate': finite(0, 1),
        'middle.enabled': st.booleans(),
        'inner.steps': st.integers(0, 10_000),
        'inner.rate': finite(0, 1),
    },
)


def test_leaves_are_dotted_and_in_order_of_declaration() -> None:
    assert [name for name, _ in Outer.leaves()] == NAMES
    assert list(Outer().to_flat()) == NAMES


@given(VALUES)
def test_flat_there_and_back_is_the_same(values: dict[str, object]) -> None:
    settings = Outer.from_flat(values)
    assert settings.to_flat() == {**Outer().to_flat(), **values}
    assert Outer.from_flat(settings.to_flat()) == settings


@given(st.floats() | st.integers())
def test_a_number_is_in_force_or_refused(value: float) -> None:
    allowed = not math.isnan(value) and 0 <= value <= 1
    if allowed:
        assert Inner.from_flat({'rate': value}).rate == value
    else:
        with pytest.raises(UserError, match='rate'):
            Inner.from_flat({'rate': value})


@pytest.mark.parametrize(
    ('name', 'value'),
    [
        ('inner.steps', -1),
        ('inner.steps', 10_001),
        ('inner.steps', 5.0),
        ('inner.steps', True),
        ('inner.steps', '5'),
        ('inner.rate', float('nan')),
        ('inner.rate', float('inf')),
        ('inner.rate', 10**400),
        ('inner.rate', True),
        ('speed', float('nan')),
        ('speed', float('-inf')),
        ('middle.enabled', 1),
        ('middle.enabled', 'yes'),
        ('mode', 'follow'),
        ('mode', False),
        ('name', 3),
        ('name', None),
    ],
)
def test_refusal_names_field_and_value_on_one_line(name: str, value: object) -> None:
    with pytest.raises(UserError) as caught:
        Outer.from_flat({name: value})
    text = str(caught.value)
    assert repr(name) in text
    assert repr(value) in text
    assert 'expected' in text
    assert '\n' not in text


def test_whole_numbers_serve_as_floats() -> None:
    rate = Inner.from_flat({'rate': 1}).rate
    assert rate == 1.0
    assert type(rate) is float


def test_limits_and_unit_stand_in_the_refusal() -> None:
    with pytest.raises(UserError, match=r'0 to 10000'):
        Inner(steps=-1)

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Timeout(Settings):
        timeout: float = setting(1.0, 'until given up', unit='s', low=0.1)

    with pytest.raises(UserError, match=r'0\.1 to any s'):
        Timeout(timeout=0.0)


@pytest.mark.parametrize('name', ['stepz', 'inner', 'inner.', 'inner.stepz', 'middle.steps', '.name', ''])
def test_unknown_names_are_refused_with_the_known_ones(name: str) -> None:
    with pytest.raises(UserError) as caught:
        Outer.from_flat({name: 1})
    assert repr(name) in str(caught.value)
    for known in NAMES:
        assert known in str(caught.value)


def test_a_group_takes_only_its_own_settings() -> None:
    with pytest.raises(UserError, match='Inner'):
        Outer(inner=Middle())  # type: ignore[arg-type]
    with pytest.raises(UserError, match='Inner'):
        Outer(inner=5)  # type: ignore[arg-type]


def test_settings_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Outer().name = 'other'  # type: ignore[misc]


def write(folder: Path, text: str) -> Path:
    path = folder / 'some.param.yaml'
    path.write_text(text, encoding='utf-8')
    return path


def test_parameter_file_gives_dotted_names_by_node(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        '/**/encoder:\n  ros__parameters:\n    a: {b: {c: 1}}\n    d.e: 2.5\n'
        '/slow_learner:\n  ros__parameters: {}\n'
        'fast_learner:\n  ros__parameters:\n'
        '/encoder:\n  ros__parameters: {f: true}\n',
    )
    assert read_parameter_file(path) == {
        'encoder': {'a.b.c': 1, 'd.e': 2.5, 'f': True},
        'slow_learner': {},
        'fast_learner': {},
    }


@pytest.mark.parametrize(
    'text',
    [
        '',
        'just words',
        '- a\n- list',
        'encoder: 5',
        'encoder: {rate: 5}',
        'encoder: {ros__parameters: 5}',
        'encoder: {ros__parameters: [1, 2]}',
        'encoder: {ros__parameters: {a: 1}',
        'a: [1\nb: 2\n\tc',
    ],
)
def test_a_damaged_parameter_file_is_refused_by_name_on_one_line(tmp_path: Path, text: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(UserError) as caught:
        read_parameter_file(path)
    assert str(path) in str(caught.value)
    assert '\n' not in str(caught.value)


def test_a_parameter_file_that_is_absent_or_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r'absent\.yaml'):
        read_parameter_file(tmp_path / 'absent.yaml')
    binary = tmp_path / 'binary.yaml'
    binary.write_bytes(b'\xff\xfe\x00\x80')
    with pytest.raises(UserError, match=r'binary\.yaml'):
        read_parameter_file(binary)
