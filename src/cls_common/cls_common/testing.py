"""What the contract suites share. A suite is a class of tests: subclass it in a test module as `class TestMine(Suite)`.

Suites need no pytest to be imported; what they need is given as fixtures, which each of them names.
"""

from collections.abc import Callable
from typing import Any

from .errors import UserError


def refusal(call: Callable[..., Any], *arguments: Any, **keywords: Any) -> str:
    """Returns the text of the UserError that a call raises, one line; fails the test if it raises none."""
    try:
        call(*arguments, **keywords)
    except UserError as error:
        assert '\n' not in str(error)
        return str(error)
    raise AssertionError(f'{call} accepted {arguments} {keywords}; expected a UserError')
