"""Floor 3. The answers of M-Lab's own IQB library, which ours are held against.

It is on no package index and needs Python 3.12 and Google's cloud libraries, so its answers are
kept in `tests/golden/iqb_answers.json`. To make them anew, in a checkout of m-lab/iqb:

    PYTHONPATH=library/src python …/tests/iqb_answers.py > …/tests/golden/iqb_answers.json
"""

from __future__ import annotations

import json
import random
import sys
from importlib import import_module
from typing import Any

_INPUTS = 120
_CHOICES = {
    "download_throughput_mbps": [0.05, 4.9, 5, 9.99, 10, 10.01, 24.9, 25, 25.1, 80, 940],
    "upload_throughput_mbps": [0.05, 4.9, 5, 5.1, 10, 10.01, 24.9, 25, 25.1, 80, 940],
    "latency_ms": [0.8, 9.99, 10, 10.1, 49.9, 50, 50.1, 99.9, 100, 100.1, 600],
    "packet_loss": [0, 0.001, 0.0049, 0.005, 0.0051, 0.0099, 0.01, 0.0101, 0.4],
}


def main() -> None:
    """Print inputs and answers as JSON."""
    calculator: Any = import_module("iqb.calculator")
    whole = calculator.IQB_CONFIG["use cases"]
    rng = random.Random(20260611)
    answers = []
    for _ in range(_INPUTS):
        figures = {name: rng.choice(values) for name, values in _CHOICES.items()}
        alone = {
            name: calculator.IQBCalculator({"use cases": {name: use}})
            for name, use in whole.items()
        }
        data = {"m-lab": figures}
        answers.append(
            {
                "figures": figures,
                "uses": {name: one.calculate_iqb_score(data) for name, one in alone.items()},
                "score": calculator.IQBCalculator().calculate_iqb_score(data),
            }
        )
    rows = ",\n".join(json.dumps(answer) for answer in answers)
    sys.stdout.write(f'{{"library": "m-lab/iqb dbd7401 (2026-06-11)", "answers": [\n{rows}\n]}}\n')


if __name__ == "__main__":
    main()
