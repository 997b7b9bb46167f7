"""What this host itself can do, as it is told and kept."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from msgspec import structs

from probe.config import LineConfig
from probe.show import ceiling
from probe.state import ceilings
from runtime.language import Language
from tests import samples
from wire.messages import Ceiling
from wire.result import Outcome, Reason, Validity

LINE = LineConfig(
    id="vnpt", isp="VNPT", interface="eth0", plan_download_bps=300e6, plan_upload_bps=300e6
)
FULL = Ceiling(
    line="vnpt",
    peer="192.168.1.20",
    measured_at=samples.NOON,
    download_bps=940e6,
    upload_bps=260e6,
)


def test_nine_tenths_of_the_plan_is_enough() -> None:
    result = samples.throughput(download_bps=270e6, upload_bps=269e6)
    found = ceiling.line_ceiling(LINE, result)
    assert (found.download.enough, found.upload.enough) == (True, False)
    assert found.download.plan_ratio == 0.9
    assert not found.good
    kept = ceiling.published_ceiling(found, result, "192.168.1.20")
    assert (kept.line, kept.download_bps, kept.upload_bps) == ("vnpt", 270e6, 269e6)


def test_without_a_plan_it_is_measured_and_judges_nothing() -> None:
    line = structs.replace(LINE, plan_download_bps=None, plan_upload_bps=None)
    found = ceiling.line_ceiling(line, samples.throughput())
    assert (found.download.enough, found.upload.enough, found.good) == (None, None, True)


def test_what_could_not_be_measured_is_told() -> None:
    result = samples.throughput(
        outcome=Outcome.FAILED, reason=Reason.CONNECTION_REFUSED, detail="Nobody listens."
    )
    found = ceiling.line_ceiling(LINE, result)
    assert (found.download.ceiling_bps, found.download.enough, found.good) == (None, None, False)
    shown = ceiling.text(ceiling.CeilingDocument("192.168.1.20", 0.9, [found]), Language.EN)
    assert "Nobody listens." in shown


def test_the_technician_reads_figures_and_what_they_mean() -> None:
    result = samples.throughput(
        download_bps=940e6,
        upload_bps=200e6,
        validity=[Validity.LINK_BELOW_PLAN, Validity.THROTTLED],
    )
    shown = ceiling.CeilingDocument("192.168.1.20", 0.9, [ceiling.line_ceiling(LINE, result)])
    text = ceiling.text(shown, Language.EN)
    assert "3.13 of the plan of 300.0 Mbit/s: enough to assess it (takes 0.9)" in text
    assert "0.67 of the plan of 300.0 Mbit/s: TOO LOW to assess it (takes 0.9)" in text
    assert "validity: throttled" in text
    text = ceiling.text(shown, Language.VI)
    assert "3,13 lần gói cước 300,0 Mbit/s: đủ để đánh giá (cần 0,9)" in text
    assert "0,67 lần gói cước 300,0 Mbit/s: quá THẤP để đánh giá (cần 0,9)" in text
    assert "điều cần lưu ý: trạm đo giảm xung (nóng, yếu nguồn)" in text


def test_check_says_what_is_missing_or_too_low() -> None:
    (missing,) = ceiling.notes([LINE], {})
    assert missing.en.startswith("line vnpt: what this host itself can do is not known")
    (low,) = ceiling.notes([LINE], {"vnpt": FULL})
    assert "(260,0 Mbit/s) quá thấp để đánh giá gói cước 300,0 Mbit/s" in low.vi
    assert "260.0 Mbit/s in upload is too low to assess a plan of 300.0 Mbit/s" in low.en


def test_what_was_measured_is_kept_line_by_line(tmp_path: Path) -> None:
    state = str(tmp_path / "state")
    assert ceilings.read(state) == {}
    ceilings.store(state, [FULL])
    other = structs.replace(FULL, line="viettel")
    newer = structs.replace(FULL, upload_bps=500e6)
    ceilings.store(state, [other, newer])
    assert ceilings.read(state) == {"vnpt": newer, "viettel": other}


def test_a_damaged_file_is_no_ceiling(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "ceilings.json").write_bytes(b"{")
    with caplog.at_level(logging.WARNING):
        assert ceilings.read(str(tmp_path)) == {}
    assert "ceilings.json cannot be read" in caplog.text
