"""A UserError has problem, expected, found and do on one line, for any texts."""

from hypothesis import given
from hypothesis import strategies as st

from cls_common.errors import UserError


def test_all_parts_are_in_order() -> None:
    error = UserError('port /dev/ttyACM0', expected='a servo board', found='nothing', do='Plug it in.')
    assert str(error) == 'port /dev/ttyACM0; expected a servo board; found nothing. Plug it in.'
    assert str(UserError('camera gone')) == 'camera gone'


@given(st.text(), st.text(), st.text(), st.text())
def test_always_one_line(problem: str, expected: str, found: str, do: str) -> None:
    text = str(UserError(problem, expected=expected, found=found, do=do))
    assert len(text.splitlines()) <= 1
