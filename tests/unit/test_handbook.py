"""The wiring plan and the office's card say what the daemon does."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from pypdf import PdfReader

from deploy.handbook import card, wiring
from deploy.handbook.__main__ import main
from probe.config import LedConfig, PlanConfig
from probe.show.status import Pattern

DOCS = Path(__file__).parents[2] / "docs"


def test_the_plan_shows_every_led_at_its_pin() -> None:
    config = LedConfig()
    drawn = wiring.picture(config, ["VNPT", "Viettel"])
    assert [(led.bcm, wiring.HEADER_PIN[led.bcm]) for led in wiring.leds(config, ["a", "b"])] == [
        (17, 11), (27, 13), (22, 15), (23, 16), (24, 18), (25, 22),
    ]  # fmt: skip
    for led in wiring.leds(config, ["VNPT", "Viettel"]):
        assert f"GPIO {led.bcm} · chân {wiring.HEADER_PIN[led.bcm]}<" in drawn
        assert f">{led.label}<" in drawn


def test_no_header_pin_has_two_uses() -> None:
    pins = [*wiring.HEADER_PIN.values(), *wiring.GROUND_PINS, 1, 2, 4, 17]
    assert sorted(pins) == list(range(1, 41))


def test_a_line_s_name_cannot_break_the_picture() -> None:
    assert "<script" not in wiring.picture(LedConfig(), ["<script>"])


def test_the_plan_in_the_documents_is_the_one_of_the_defaults() -> None:
    stored = (DOCS / "images" / "wiring.svg").read_text(encoding="utf-8")
    assert stored == wiring.picture(LedConfig(), ["Mạng 1", "Mạng 2"]), "make handbook"


@pytest.mark.parametrize("pattern", list(Pattern))
def test_a_strip_stays_within_its_four_seconds(pattern: Pattern) -> None:
    parts = card.strip(pattern)
    assert all(0 <= begin < end <= 4.001 and 0 < level <= 1 for begin, end, level in parts)
    assert bool(parts) == (pattern is not Pattern.OFF)


def test_every_pattern_looks_different() -> None:
    strips = [str(card.strip(pattern)) for pattern in Pattern]
    assert len(set(strips)) == len(Pattern)


def test_the_card_is_one_a5_page_and_names_who_to_call(tmp_path: Path) -> None:
    out = tmp_path / "card.pdf"
    assert (
        main(["card", "--phone", "0209 3870 123", "--office", "UBND xã <A>", "-o", str(out)]) == 0
    )
    reader = PdfReader(io.BytesIO(out.read_bytes()))
    (page,) = reader.pages
    assert [round(float(side) / 72 * 25.4) for side in page.mediabox.upper_right] == [148, 210]
    text = re.sub(r"\s+", " ", page.extract_text())
    for words in ("0209 3870 123", "UBND xã <A>", "Gọi kỹ thuật viên", "07:00–17:30", "Cả hai tắt"):
        assert words in text
    assert f"{PlanConfig().samples_per_month} lần một tháng" in text


def test_the_card_in_the_documents_says_the_same() -> None:
    def words(content: bytes) -> list[str]:
        return PdfReader(io.BytesIO(content)).pages[0].extract_text().split()

    stored = (DOCS / "card.vi.pdf").read_bytes()
    assert words(stored) == words(card.pdf(card.Contact())), "make handbook"
