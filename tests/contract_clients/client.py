"""A reader in Python, with classes generated from the contract's schemas and nothing else of ours.

python client.py FOLDER_OF_GENERATED < a `{"schema": …, "payload": …}` a line: prints a JSON array
of number, kind and figures for each result.
"""

from __future__ import annotations

import importlib
import json
import sys

FIGURES = {
    "throughput": ("download_whole_bps", "upload_whole_bps"),
    "http": ("download_bps", "ping_p50_ms"),
    "latency": ("rtt_p50_ms", "loss_ratio"),
    "dns": ("rtt_p50_ms", "failure_ratio"),
    "web": ("total_ms",),
    "path": ("target_rtt_ms",),
    "availability": ("up_minutes", "down_minutes"),
    "outage": ("down_minutes",),
    "results_dropped": ("count",),
}


def main(folder: str) -> None:
    """Decode what comes in."""
    sys.path.insert(0, folder)
    for line in sys.stdin:
        message = json.loads(line)
        module = importlib.import_module(message["schema"].partition(".")[0] + "_schema")
        decoded = module.Model.model_validate(message["payload"]).root
        for record in getattr(decoded, "records", []):
            result = record.result
            figures = [getattr(result.values, name) for name in FIGURES[result.kind]]
            print(json.dumps([record.seq, result.kind, *figures]))


if __name__ == "__main__":
    main(sys.argv[1])
