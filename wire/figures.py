"""Floor 1. Figures at both ends: the unit of speed, the least sample of a percentile."""

from __future__ import annotations

# Bits per second in one Mbit/s, the unit of speed for people (IEC 80000-13: decimal prefixes).
MEGABIT = 1_000_000

# The least sample of a percentile, by per mille: the smallest n with p^n <= 0.05, in which with
# 95 % confidence at least one value lies above the percentile (docs/method.md#statistics, S2).
MIN_SAMPLES = {950: 59, 990: 299, 999: 2995}
