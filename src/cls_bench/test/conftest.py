"""Makes `bench_world` importable from the tests beside it."""

from pathlib import Path
import sys

sys.path.insert(0, str(Path(__file__).parent))
