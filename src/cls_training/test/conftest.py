"""One thread, as exact runs use; property tests without a deadline, which a busy machine would miss."""

from pathlib import Path
import sys

from hypothesis import settings
import pytest
import torch

# The modules beside the tests.
sys.path.insert(0, str(Path(__file__).parent))
settings.register_profile('patient', deadline=None)
settings.load_profile('patient')


@pytest.fixture(autouse=True, scope='session')
def _one_thread() -> None:
    torch.set_num_threads(1)
