"""Run every benchmark and write results.json."""

import json
import platform
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import dag_parse, landing

RESULTS = Path(__file__).with_name("results.json")


def main() -> None:
    """Measure and write."""
    results = {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "dag_parse": dag_parse.measure(),
        "landing": landing.measure(),
    }
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    print(RESULTS.read_text())


if __name__ == "__main__":
    main()
