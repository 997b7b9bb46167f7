"""What a line is good for: ours against the framework's own library, and the words for it."""

from __future__ import annotations

import json
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from collector.domain import uses, uses_file
from collector.domain.lines import known_lines
from collector.domain.uses import Indicator, Level, UseFigures
from collector.registry.communes import official
from collector.registry.file_format import parse_toml
from collector.rollup.distribution import delays, distribution
from collector.rollup.summary import EMPTY, Summary
from collector.web import uses_view
from collector.web.presentation import Locale
from runtime.language import Language
from runtime.settings import SettingsError
from tests.seeded_centre import REGISTRY
from wire.figures import MEGABIT

USES = uses_file.read()
ANSWERS = json.loads(
    Path(__file__).parents[1].joinpath("golden", "iqb_answers.json").read_text(encoding="utf-8")
)["answers"]
VI, EN = (Locale(language, ZoneInfo("Asia/Ho_Chi_Minh")) for language in (Language.VI, Language.EN))
MEETING = next(use for use in USES.use if use.id == "video_conferencing")


def figures(down: float = 100, up: float = 80, ms: float = 8, loss: float = 0.001) -> UseFigures:
    """Speeds in Mbit/s, latency in ms."""
    return UseFigures(
        download_bps=down * MEGABIT, upload_bps=up * MEGABIT, latency_ms=ms, loss_ratio=loss
    )


def summary(
    down: float = 100, up: float = 80, ms: int = 8, lost: int = 1, tests: int = 30
) -> Summary:
    """Some hours of a line, all of its figures alike."""
    return Summary(
        metrics={
            "throughput_download_whole_bps": distribution([down * MEGABIT] * tests),
            "throughput_upload_whole_bps": distribution([up * MEGABIT] * tests),
            "throughput_rtt_loaded_download_p50_ms": distribution([30.0] * tests),
            "throughput_rtt_loaded_upload_p50_ms": distribution([180.0] * tests),
            "latency_rtt_ms": delays([ms * 1_000] * 1_000, lost),
        },
        sums={"latency_sent": 1_000 + lost, "latency_lost": lost},
    )


@pytest.mark.parametrize("answer", ANSWERS)
def test_scores_are_those_of_the_framework_s_library(answer: dict[str, dict[str, float]]) -> None:
    known = answer["figures"]
    ours = figures(
        known["download_throughput_mbps"],
        known["upload_throughput_mbps"],
        known["latency_ms"],
        known["packet_loss"],
    )
    assert uses.framework_score(ours, USES) == pytest.approx(answer["score"])
    by_id = {use.id: use for use in USES.use}
    for name, score in answer["uses"].items():
        use = by_id[name.replace(" ", "_")]
        assert uses.assess_use(use, ours, USES).score == pytest.approx(score)


def test_the_answers_reach_both_sides_of_every_requirement() -> None:
    scores = [answer["score"] for answer in ANSWERS]
    assert min(scores) < 0.15
    assert max(scores) > 0.85
    assert len(set(scores)) > 40


def test_a_use_is_good_only_where_every_requirement_is_met() -> None:
    good = uses.assess_use(MEETING, figures(), USES)
    assert (good.level, good.missed, good.score) == (Level.GOOD, (), 1)
    one = uses.assess_use(MEETING, figures(up=18), USES)
    assert (one.level, one.missed) == (Level.LIMITED, (Indicator.UPLOAD,))
    two = uses.assess_use(MEETING, figures(up=18, ms=180), USES)
    assert (two.level, two.missed) == (Level.POOR, (Indicator.UPLOAD, Indicator.LATENCY))


def test_voice_is_not_in_the_framework_s_score() -> None:
    voice = next(use for use in USES.use if use.id == "voice")
    assert voice.score_weight == 0
    assert voice.source
    assert sum(use.score_weight for use in USES.use) == 6


def test_figures_are_medians_and_loss_is_of_all_packets() -> None:
    found = uses.figures_of(summary(lost=10), USES)
    assert found is not None
    assert found.of(Indicator.DOWNLOAD) == pytest.approx(100, rel=0.01)
    assert found.of(Indicator.LATENCY) == pytest.approx(8, rel=0.01)
    assert found.loss_ratio == pytest.approx(10 / 1_010)


def test_few_samples_say_nothing() -> None:
    assert uses.figures_of(summary(tests=4), USES) is None
    assert uses.figures_of(EMPTY, USES) is None
    assert uses.loaded_latency_ms(summary(tests=4), USES) is None


def test_latency_under_load_is_that_of_the_worse_direction() -> None:
    assert uses.loaded_latency_ms(summary(), USES) == pytest.approx(180, rel=0.01)


def test_hours_of_offices_and_of_the_evening_are_apart() -> None:
    cells = {(0, 9): [summary(down=90)], (0, 12): [summary(down=50)], (6, 20): [summary(down=5)]}
    for hours, expected in ((USES.office_hours, 90), (USES.peak_hours, 5)):
        found = uses.figures_of(uses.hours_summary(cells, hours), USES)
        assert found is not None
        assert found.of(Indicator.DOWNLOAD) == pytest.approx(expected, rel=0.01)


def test_what_holds_a_use_back_is_said_with_figure_and_limit() -> None:
    cells = {(0, 9): [summary(up=30)], (2, 20): [summary(up=18, lost=30)]}
    section = uses_view.section_of(cells, USES, VI)
    meeting, web, *_ = section.rows
    words = [one.word for one in (meeting.office, meeting.peak, meeting.all_hours, meeting.loaded)]
    assert words == ["tốt", "kém", "kém", "kém"]
    assert meeting.held_back[-1] == "độ trễ khi tải 180,0 ms (cần dưới 50 ms)"
    assert "mất gói 1,53% (cần dưới 0,5%)" in meeting.held_back
    assert web.office.word == "tốt"
    assert "giờ cao điểm buổi tối" not in " ".join(web.held_back)
    assert section.scores[0] == "1,00"


def test_a_line_among_others_names_other_hours_and_load_only_where_their_word_is_another() -> None:
    cells = {(0, hour): [summary(up=30)] for hour in (8, 9, 10, 14)} | {(2, 20): [summary(up=18)]}
    meeting, *_, voice = uses_view.line_uses(cells, USES, EN).words
    assert meeting.word.word == "good"
    assert meeting.others == ["evening peak: limited", "under load: limited"]
    assert meeting.held_back == [
        "upload evening peak 18.0 Mbit/s (needs over 25 Mbit/s)",
        "latency under load 180.0 ms (needs under 50 ms)",
    ]
    assert (voice.word.word, voice.others, voice.held_back) == ("good", [], [])
    unknown, *_ = uses_view.line_uses({}, USES, EN).words
    assert (unknown.word.word, unknown.others) == ("too few samples", [])


def test_an_isp_s_good_lines_are_counted_of_those_with_figures() -> None:
    registry = parse_toml(REGISTRY.encode(), "seeded.toml", official())
    lines = known_lines(registry, [])
    of_vnpt = [line for line in lines if line.isp_name == "VNPT"]
    figures = {
        of_vnpt[0].key: uses_view.figures_of_line(summary(), USES),
        of_vnpt[1].key: uses_view.figures_of_line(summary(up=18), USES),
    }
    rows = {row.name: row.uses for row in uses_view.isp_uses(lines, figures, USES, EN)}
    assert [use.good for use in rows["VNPT"]] == ["1/2", "2/2", "2/2", "1/2", "2/2"]
    assert [use.good for use in rows["Viettel"]] == ["0/0"] * 5
    meeting, *_, voice = rows["VNPT"]
    assert (meeting.breakdown, meeting.held_back) == (["under load: 0/2"], "upload: 1")
    assert voice.held_back == ""


def test_an_isp_s_lines_are_counted_in_office_hours_and_in_the_evening_apart() -> None:
    registry = parse_toml(REGISTRY.encode(), "seeded.toml", official())
    lines = known_lines(registry, [])
    cells = {(0, hour): [summary(up=30)] for hour in (8, 9, 10, 14)} | {(2, 20): [summary(up=18)]}
    figures = {lines[0].key: uses_view.figures_by_hours(cells, USES)}
    (row,) = (r for r in uses_view.isp_uses(lines[:1], figures, USES, VI))
    assert row.uses[0].good == "1/1"
    assert row.uses[0].breakdown == [
        "giờ hành chính: 1/1",
        "giờ cao điểm buổi tối: 0/1",
        "khi tải: 0/1",
    ]


def test_a_file_that_cannot_be_used_is_refused_in_words() -> None:
    shipped = uses_file.SHIPPED.read_bytes()
    with pytest.raises(SettingsError, match="score_weight"):
        uses.parse(shipped.replace(b"score_weight = 1", b"score_weight = 0"), "uses.toml")
    with pytest.raises(SettingsError, match="limit"):
        uses.parse(shipped.replace(b"limit = 300", b"limit = 0"), "uses.toml")


def test_a_sheet_of_paper_has_the_uses_by_their_word() -> None:
    cells = {(0, hour): [summary(up=30)] for hour in (8, 9, 10, 14)} | {(2, 20): [summary(up=18)]}
    ((badge, names),) = uses_view.line_uses(cells, USES, EN).by_word
    assert badge.word == "good"
    assert names.startswith("Online meetings (evening peak: limited, under load: limited); ")
    assert names.endswith("; Voice calls")
