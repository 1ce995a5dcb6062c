"""One contract for every sleep phase."""

import pytest

from cls_learning import testing
from cls_learning.registries import PHASES


@pytest.fixture(params=PHASES.names())
def phase(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


class TestPhases(testing.PhaseSuite):
    """Every one, those of installed packages too."""
