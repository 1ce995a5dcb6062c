"""Gives the tests a runtime folder of their own. Properties are about what holds, not how fast."""

from pathlib import Path
import sys

from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent))

from watching import runtime

settings.register_profile('patient', deadline=None)
settings.load_profile('patient')

__all__ = ['runtime']
