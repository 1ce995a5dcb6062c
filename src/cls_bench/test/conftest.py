"""Makes `bench_environment` importable from the tests in this folder."""

from pathlib import Path
import sys

sys.path.insert(0, str(Path(__file__).parent))
