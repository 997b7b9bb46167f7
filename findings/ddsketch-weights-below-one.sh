#!/usr/bin/env bash
# One would guess: `DDSketch.add(value, weight)` takes any positive weight, and a quantile depends on the proportions of
# the weights only: values added with 0.2 and 0.2 have the quantiles of the same values added with 1 and 1. So a minute
# that was half covered may be given half a weight.
# What happens: the rank of a quantile is q * (sum of the weights - 1). With a sum below 1 the rank is negative, and a
# sketch that holds nothing but positive values answers a negative number, the value of an empty store. With a sum of
# just 1 every quantile, the maximum too, is the lowest value.
# Seen with ddsketch 3.0.1 (PyPI), Python 3.11; source: `BaseDDSketch.get_quantile_value` in ddsketch/ddsketch.py.
# For a builder: weights are counts. Scale fractions up to whole numbers before they are added (seconds, not shares of
# a minute), and do not ask a sketch for a quantile whose `count` is below some tens.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install ddsketch==3.0.1 2>/dev/null
cat > "$folder/weights.py" <<'PYTHON'
from importlib.metadata import version

from ddsketch import DDSketch

print(f"ddsketch {version('ddsketch')}: the values 10 and 20, each with the same weight")
seen = {}
for weight in (5.0, 1.0, 0.5, 0.2):
    sketch = DDSketch(0.01)
    sketch.add(10.0, weight=weight)
    sketch.add(20.0, weight=weight)
    seen[weight] = [round(sketch.get_quantile_value(q), 2) for q in (0.0, 0.5, 0.9, 1.0)]
    print(f"weight {weight}: count {sketch.count}, mean {sketch.avg}, quantiles 0, 0.5, 0.9, 1: {seen[weight]}")
assert seen[5.0][-1] > 19 and seen[1.0][-1] > 19, seen
assert seen[0.5][-1] < 11, seen
assert min(seen[0.2]) < 0, seen
PYTHON
"$folder/venv/bin/python" "$folder/weights.py"
