"""Which topic filters are asked for again, and when."""

from __future__ import annotations

from runtime.subscriptions import Subscriptions

ANSWER_WITHIN_S = 30.0


def test_only_what_was_refused_is_asked_for_again() -> None:
    """Retained messages come with each subscription: a whole fleet's, to a collector."""
    asked = Subscriptions(ANSWER_WITHIN_S)
    asked.on_sent(1, ["granted", "refused"], 0.0)
    assert not asked.on_answer(1, [False, True], 10.0)
    assert asked.take_due(10.9) == []
    assert asked.take_due(11.0) == ["refused"]
    asked.on_sent(2, ["refused"], 11.0)
    assert asked.take_due(20.0) == [], "it is on its way"
    assert asked.on_answer(2, [False], 21.0), "all are granted"
    assert asked.take_due(99.0) == []


def test_the_wait_doubles_up_to_a_minute() -> None:
    asked, now_s, waits = Subscriptions(ANSWER_WITHIN_S), 0.0, []
    for mid in range(8):
        asked.on_sent(mid, ["x"], now_s)
        asked.on_answer(mid, [True], now_s)
        since_s = now_s
        while not asked.take_due(now_s):
            now_s += 1.0
        waits.append(now_s - since_s)
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]


def test_an_answer_to_others_does_not_end_a_refusal() -> None:
    asked = Subscriptions(ANSWER_WITHIN_S)
    asked.on_sent(1, ["x"], 0.0)
    asked.on_sent(2, ["y"], 0.0)
    asked.on_answer(1, [True], 1.0)
    assert not asked.on_answer(2, [False], 1.0)
    assert asked.take_due(5.0) == ["x"]


def test_what_is_not_wanted_any_more_is_not_asked_for() -> None:
    asked = Subscriptions(ANSWER_WITHIN_S)
    asked.on_sent(1, ["x", "y"], 0.0)
    asked.on_answer(1, [True, True], 0.0)
    asked.on_removed(["x"])
    assert asked.take_due(5.0) == ["y"]


def test_an_answer_may_take_its_time_and_no_longer() -> None:
    asked = Subscriptions(ANSWER_WITHIN_S)
    assert not asked.is_unanswered(99.0)
    asked.on_sent(1, ["x"], 100.0)
    assert not asked.is_unanswered(130.0)
    assert asked.is_unanswered(130.1)
    asked.on_answer(1, [True], 131.0)
    assert not asked.is_unanswered(999.0)
