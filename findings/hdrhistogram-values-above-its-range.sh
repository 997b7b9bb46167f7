#!/usr/bin/env bash
# One would guess: `HdrHistogram(1, 3_600_000, 3).record_value(v)` of the Python port raises an error where v does not
# fit, as the Java original does; and the histogram's maximum is the largest value that was recorded.
# What happens: a value that does not fit is not recorded. `record_value` returns False, which nobody reads, and count,
# mean and every percentile are those of the rest: latencies whose worst hundredth is above the range have a flawless
# 99.9th percentile. The range ends where its last bucket ends, not where it was said to: 2,047 fits below "1,000".
# And the maximum is the upper end of the bucket, above everything that was recorded.
# Seen with hdrhistogram 0.10.3 (PyPI), Python 3.11; source: `HdrHistogram.record_value` in hdrh/histogram.py.
# For a builder: look at what `record_value` returns and count the refused ones (or record the highest trackable value in
# their place); keep the true minimum and maximum beside the histogram.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install hdrhistogram==0.10.3 2>/dev/null
cat > "$folder/range.py" <<'PYTHON'
from importlib.metadata import version

from hdrh.histogram import HdrHistogram

print(f"hdrhistogram {version('hdrhistogram')}: round-trip times in us, 1 to 1,000,000 with 3 digits")
histogram = HdrHistogram(1, 1_000_000, 3)
recorded = [histogram.record_value(value) for value in [20_000] * 980 + [3_000_000] * 20]
count, p999, largest = (
    histogram.get_total_count(), histogram.get_value_at_percentile(99.9), histogram.get_max_value()
)  # fmt: skip
print(f"980 of 20,000 and 20 of 3,000,000: count {count}, 99.9th percentile {p999}, maximum {largest}")
assert recorded.count(False) == 20 and count == 980, recorded.count(False)
assert 20_000 < p999 < 20_100 and largest > 20_000, (p999, largest)
small = HdrHistogram(1, 1_000, 3)
fits = {value: small.record_value(value) for value in (1_000, 1_001, 2_047, 2_048)}
print(f"range 1 to 1,000: {fits}")
assert fits == {1_000: True, 1_001: True, 2_047: True, 2_048: False}, fits
PYTHON
"$folder/venv/bin/python" "$folder/range.py"
