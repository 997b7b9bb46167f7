"""Two ISPs compared: the interval of their difference is between communes."""

from __future__ import annotations

import pytest

from collector.web.isps_view import paired


def test_many_cells_of_few_communes_are_no_large_sample() -> None:
    """168 cells each of three communes, which differ by +40, -10 and 0 with all of their cells.

    As 504 independent cells they would say 10 +- 1.9.
    """
    mean, interval = paired([[40.0] * 168, [-10.0] * 168, [0.0] * 168])
    assert mean == pytest.approx(10)
    assert interval is not None
    # s = 26.46, / sqrt(3), * 4.303 (Student's t, 2 degrees of freedom).
    assert interval == pytest.approx((10 - 65.7, 10 + 65.7), rel=1e-2)


def test_a_commune_counts_by_its_cells() -> None:
    mean, _ = paired([[6.0] * 2, [0.0] * 4])
    assert mean == pytest.approx(2)


def test_fewer_than_three_communes_give_no_interval() -> None:
    assert paired([[40.0] * 168, [41.0] * 168])[1] is None


def test_communes_that_agree_tell_two_isps_apart() -> None:
    mean, interval = paired([[20.0] * 10, [21.0] * 10, [19.0] * 10, [20.0] * 10])
    assert mean == pytest.approx(20)
    assert interval is not None
    assert interval[0] > 0
