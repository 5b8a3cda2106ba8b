"""How long the command line and a whole run take. Prints figures; asserts nothing.

python tests/benchmarks/bench_run.py [rounds]
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def measure(what: str, rounds: int, *command: str) -> None:
    times = []
    for _ in range(rounds):
        begun = time.perf_counter()
        subprocess.run([sys.executable, *command], check=True, capture_output=True)
        times.append(time.perf_counter() - begun)
    print(f"{what:45} median {statistics.median(times):6.2f} s   max {max(times):6.2f} s   ({rounds} times)")


def details(outputs: Path) -> None:
    """Of the last run: notebooks, and what was waited for."""
    run = max((json.loads(path.read_text()) for path in outputs.glob("*/run.json")), key=lambda run: run["started"])
    waited = sum(entry["seconds"] for entry in run["timeline"] if entry["kind"] == "waited for")
    for book in run["notebooks"]:
        print(f"  {book['name']:43} {book['seconds']:13.2f} s")
    print(f"  {'of it waiting for the cluster':43} {waited:13.2f} s   {run['verdict']}")


def main(rounds: int) -> None:
    measure("python, nothing else", rounds, "-c", "")
    measure("import jfsnb", rounds, "-c", "import jfsnb")
    measure("jfsnb --help", rounds, "-m", "jfsnb", "--help")
    with tempfile.TemporaryDirectory() as directory:
        measure("jfsnb run, its own sandbox", rounds, "-m", "jfsnb", "run", "--outputs", directory)
        details(Path(directory))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
