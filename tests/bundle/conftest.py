import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "checks"))  # for check_builders.py, which the tests share
