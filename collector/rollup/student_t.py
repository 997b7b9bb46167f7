"""Floor 1. Student's t distribution, for confidence intervals of means."""

from __future__ import annotations

import math

# 97.5th percentile of Student's t for 1 to 9 degrees of freedom; above, a series is close enough.
_STUDENT_T = (12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622)
_NORMAL_Z = 1.959964


def student_t(freedom: float) -> float:
    """The 97.5th percentile of Student's t for 1 degree of freedom or more.

    Between integers it is interpolated linearly in 1 / freedom.
    """
    whole = math.floor(freedom)
    if whole < len(_STUDENT_T):
        low, high = _STUDENT_T[whole - 1], _STUDENT_T[whole]
        return high + (low - high) * whole * ((whole + 1) / freedom - 1)
    # Cornish-Fisher expansion (Abramowitz and Stegun 26.7.5).
    z, n = _NORMAL_Z, freedom
    return (
        z
        + (z**3 + z) / (4 * n)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * n**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * n**3)
    )
