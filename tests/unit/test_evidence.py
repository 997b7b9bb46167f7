"""A bundle of a seeded, signed month, and what `tramdo-verify` finds in it and in tampered ones."""

from __future__ import annotations

import json
import lzma
import re
import shutil
import zipfile
from collections.abc import Callable, Iterator
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from collector.evidence.bundle import BundlePieces, write
from collector.registry.communes import official
from collector.registry.file_format import parse_toml
from collector.reports.report import ReportKind
from collector.rollup.periods import parse_period
from tests import evidence_month, samples, seeded_centre
from tests.evidence_month import EvidenceMonth, issue_bundle, issued, question
from tests.signing import SigningProbe
from verify import cli, vietnamese
from verify.archive import Bundle
from verify.check import Report, Trust, check
from verify.epochs import Walk, joined_samples, walk_all
from verify.findings import BundleError, Kind
from verify.samples import Days

MOST_BYTES = 1 << 30
OTHER = "tram-other"
RESULTS = f"results/{samples.TENANT}/{samples.PROBE}/{samples.EPOCH}.jsonl.xz"
# Of the line: those of each day, and the one whose clock runs fast.
OF_THE_LINE = 30 * (evidence_month.TESTS_A_DAY + 8 + 1) + 1


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EvidenceMonth]:
    made = EvidenceMonth(tmp_path_factory.mktemp("month"))
    yield made
    made.store.close()


@pytest.fixture(scope="module")
def bundle(month: EvidenceMonth) -> Path:
    path = month.folder / "line.zip"
    write(path, BundlePieces(question(), month.sources()))
    return path


def checked(path: Path, trust: Trust | None = None) -> Report:
    with Bundle(path, MOST_BYTES) as opened:
        report = check(opened, trust or Trust())
    english = [one.text for one in report.findings if vietnamese.sentence(one.text) is None]
    assert english == [], "no Vietnamese sentence"
    return report


def differences(report: Report) -> list[str]:
    return [f"{finding.subject}: {finding.text}" for finding in report.of(Kind.DIFFERS)]


def unknown(report: Report) -> str:
    return "\n".join(finding.text for finding in report.of(Kind.UNKNOWN))


def table(path: Path, name: str) -> Any:
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read(name))


def test_a_bundle_agrees(month: EvidenceMonth, bundle: Path) -> None:
    report = checked(bundle, Trust(month.probe.authority_pem))
    assert differences(report) == []
    (counts,) = report.epochs.values()
    assert counts.proven == OF_THE_LINE
    assert (counts.unsigned, counts.masked, counts.mismatched) == (0, 0, 0)
    assert counts.changed == 1
    assert counts.by_digest > 0
    assert "by their digest alone" in unknown(report)
    (row,) = [row for row in table(bundle, "report.json")["rows"] if row["level"] == "line"]
    assert row["download"]["verdict"] == "met"
    assert row["upload"]["mean_low_bps"] is not None
    assert {one["flag"] for one in table(bundle, "left_out.json")} == {
        "cross_traffic",
        "on_demand",
        "time_in_future",
    }


def test_the_same_question_gives_the_same_bytes(month: EvidenceMonth, bundle: Path) -> None:
    again = month.folder / "again.zip"
    written = write(again, BundlePieces(question(), month.sources()))
    assert again.read_bytes() == bundle.read_bytes()
    assert written.sha256 == checked(bundle).digest
    assert written.results == OF_THE_LINE
    assert written.waiting == 0


def test_masked_addresses_leave_the_chain_whole(month: EvidenceMonth, bundle: Path) -> None:
    path = month.folder / "masked.zip"
    write(path, BundlePieces(question(whole_addresses=False), month.sources(whole_addresses=False)))
    report = checked(path)
    assert differences(report) == []
    (counts,) = report.epochs.values()
    assert counts.masked == 30 * evidence_month.TESTS_A_DAY
    assert counts.proven + counts.masked == OF_THE_LINE
    assert "cannot be proven" in unknown(report)
    assert b"113.160.5.77" not in _decompressed(path)
    assert b"113.160.5.77" in _decompressed(bundle)


def test_with_every_line_nothing_of_the_month_is_a_digest(month: EvidenceMonth) -> None:
    path = month.folder / "every.zip"
    write(path, BundlePieces(question(every_line=True), month.sources()))
    report = checked(path)
    assert differences(report) == []
    (counts,) = report.epochs.values()
    # What is left are the results of the days before and after, in the blocks at both ends.
    assert counts.by_digest <= 20


def _decompressed(path: Path) -> bytes:
    with zipfile.ZipFile(path) as archive:
        return lzma.decompress(archive.read(RESULTS))


class Files:
    """A bundle's files, to be changed."""

    def __init__(self, path: Path) -> None:
        with zipfile.ZipFile(path) as archive:
            self.content = {name: archive.read(name) for name in archive.namelist()}

    def json(self, name: str, change: Callable[[Any], object]) -> None:
        found = json.loads(self.content[name])
        change(found)
        self.content[name] = json.dumps(found).encode()

    def lines(self, change: Callable[[list[dict[str, Any]]], object]) -> None:
        lines = [json.loads(line) for line in lzma.decompress(self.content[RESULTS]).splitlines()]
        change(lines)
        text = "".join(json.dumps(line) + "\n" for line in lines)
        self.content[RESULTS] = lzma.compress(text.encode(), preset=0)

    def write(self, path: Path, *, new_manifest: bool) -> None:
        """Write the bundle; with a new manifest, as somebody would who covers it up."""
        if new_manifest:
            names = [name for name in self.content if name != "manifest.json"]
            self.json("manifest.json", lambda it: it.update(files=[self._stated(n) for n in names]))
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in self.content.items():
                archive.writestr(name, content)

    def _stated(self, name: str) -> dict[str, object]:
        content = self.content[name]
        return {"name": name, "bytes": len(content), "sha256": sha256(content).hexdigest()}


def block_at(lines: list[dict[str, Any]], number: int) -> int:
    """The place of the line with the block of this number."""
    return [place for place, line in enumerate(lines) if "block" in line][number]


def records(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [line["record"] for line in lines if "record" in line]


def speed_test(lines: list[dict[str, Any]]) -> dict[str, Any]:
    """A valid one."""
    whole = '"duration_s":26.4'
    found = [one for one in records(lines) if whole in one["body"] and '"ok"' in one["body"]]
    return found[60]


def one_byte(files: Files) -> None:
    def change(lines: list[dict[str, Any]]) -> None:
        record = speed_test(lines)
        record["body"] = record["body"].replace('"duration_s":26.4', '"duration_s":26.5')

    files.lines(change)


def left_out(files: Files) -> None:
    files.lines(lambda lines: lines.remove({"record": speed_test(lines)}))


def block_left_out(files: Files) -> None:
    files.lines(lambda lines: lines.pop(block_at(lines, 20)))


def block_order(files: Files) -> None:
    def change(lines: list[dict[str, Any]]) -> None:
        one, other = block_at(lines, 20), block_at(lines, 21)
        lines[one], lines[other] = lines[other], lines[one]

    files.lines(change)


def doubled(files: Files) -> None:
    files.lines(lambda lines: lines.insert(50, lines[49]))


def numbers_swapped(files: Files) -> None:
    def change(lines: list[dict[str, Any]]) -> None:
        one, other = records(lines)[40:42]
        one["body"], other["body"] = other["body"], one["body"]

    files.lines(change)


def number_changed(files: Files) -> None:
    def change(lines: list[dict[str, Any]]) -> None:
        records(lines)[-1]["seq"] += 1_000

    files.lines(change)


def previous_changed(files: Files) -> None:
    def change(lines: list[dict[str, Any]]) -> None:
        lines[block_at(lines, 20)]["block"]["previous"] = "a" * 64

    files.lines(change)


def digest_changed(files: Files) -> None:
    def change(lines: list[dict[str, Any]]) -> None:
        block = next(
            line["block"] for line in lines if "block" in line and line["block"]["digests"]
        )
        block["digests"][0][1] = "a" * 64

    files.lines(change)


def behind_a_digest(files: Files) -> None:
    """A result of the line is left out as if it were of another one."""

    def change(lines: list[dict[str, Any]]) -> None:
        record = speed_test(lines)
        lines.remove({"record": record})
        block = next(
            line["block"]
            for line in lines
            if "block" in line and line["block"]["first"] + line["block"]["count"] > record["seq"]
        )
        digest = sha256(record["body"].encode()).hexdigest()
        block["digests"].append([record["seq"], digest])

    files.lines(change)


def sent_and_stored_swapped(files: Files) -> None:
    def change(lines: list[dict[str, Any]]) -> None:
        record = next(one for one in records(lines) if "sent" in one)
        record["body"], record["sent"] = record["sent"], record["body"]

    files.lines(change)


def stored_changed(files: Files) -> None:
    """What the centre says of a result that it has flagged is not what was signed."""

    def change(lines: list[dict[str, Any]]) -> None:
        record = next(one for one in records(lines) if "sent" in one)
        record["body"] = record["body"].replace('"received":60', '"received":61')

    files.lines(change)


def contract_moved(files: Files) -> None:
    files.json(
        "registry.json",
        lambda it: it["probes"][0]["lines"][0].update(contract_date="2026-06-15"),
    )


def contract_moved_slightly(files: Files) -> None:
    """So that no figure changes."""
    files.json(
        "registry.json",
        lambda it: it["probes"][0]["lines"][0].update(contract_date="2026-01-16"),
    )


def installed_moved(files: Files) -> None:
    files.json("registry.json", lambda it: it["probes"][0].update(installed_on="2026-06-10"))


def plan_speed(files: Files) -> None:
    files.json("registry.json", lambda it: it["probes"][0]["lines"][0].update(plan_down_bps=1e8))


def planned_tests(files: Files) -> None:
    files.json("plans.json", lambda it: it[0]["months"]["2026-06"][0].update(per_line_and_day=70.0))


def line_row(report: Any) -> Any:
    return next(row for row in report["rows"] if row["level"] == "line")


def figure(files: Files) -> None:
    def change(report: Any) -> None:
        line_row(report)["download"]["mean_bps"] *= 0.999

    files.json("report.json", change)


def verdict(files: Files) -> None:
    files.json("report.json", lambda it: line_row(it)["download"].update(verdict="not_met"))


def thresholds(files: Files) -> None:
    files.json("thresholds.json", lambda it: it["speed_share"].update(limit=0.5))


def question_s_period(files: Files) -> None:
    later = {"first_day": "2026-06-02", "results_from": "2026-06-02"}
    files.json("manifest.json", lambda it: it["question"].update(later))


def period(files: Files) -> None:
    question_s_period(files)
    files.json("report.json", lambda it: it.update(first_day="2026-06-02"))


def left_out_count(files: Files) -> None:
    files.json("left_out.json", lambda it: it[0].update(results=99))


@pytest.fixture(scope="module")
def other_probe(month: EvidenceMonth) -> SigningProbe:
    return SigningProbe(month.folder / "authority", OTHER)


class Tampering(NamedTuple):
    """A change, and what names it."""

    change: Callable[[Files], None]
    named: str


TAMPERINGS = [
    Tampering(one_byte, "is not what the probe signed"),
    Tampering(left_out, "was signed and is left out"),
    Tampering(block_left_out, "is missing, or what stands before"),
    Tampering(block_order, "there twice or out of order"),
    Tampering(doubled, "there twice or out of order"),
    Tampering(numbers_swapped, "is not what the probe signed"),
    Tampering(number_changed, "there twice or out of order"),
    Tampering(previous_changed, "is missing, or what stands before"),
    Tampering(digest_changed, "is not what the probe signed"),
    Tampering(behind_a_digest, "attempted is"),
    Tampering(sent_and_stored_swapped, "is not what the probe signed"),
    Tampering(stored_changed, "the centre has changed more of result"),
    Tampering(contract_moved, "download.why is None in the report, several_plans"),
    Tampering(contract_moved_slightly, "contract_date of line bach-thong/tram-01969-1/vnpt is"),
    Tampering(installed_moved, "unknown_minutes is"),
    Tampering(plan_speed, "download.declared_bps is 300000000.0"),
    Tampering(planned_tests, "planned is"),
    Tampering(figure, "download.mean_bps is"),
    Tampering(verdict, "download.verdict is not_met in the report, met"),
    Tampering(thresholds, "the report has other thresholds"),
    Tampering(question_s_period, "its first_day is not the question's"),
    Tampering(period, "results are not of the period"),
    Tampering(left_out_count, "99 stated"),
]


@pytest.mark.parametrize("one", TAMPERINGS, ids=lambda one: one.change.__name__)
def test_a_tampering_is_found_and_named(bundle: Path, tmp_path: Path, one: Tampering) -> None:
    """Also by somebody who has written a new manifest over it."""
    files = Files(bundle)
    one.change(files)
    files.write(tmp_path / "tampered.zip", new_manifest=True)
    found = differences(checked(tmp_path / "tampered.zip"))
    assert any(one.named in text for text in found), found
    assert not any("SHA-256" in text for text in found), "the manifest covers it up"


@pytest.fixture(scope="module")
def issues(month: EvidenceMonth) -> dict[str, Path]:
    """The bundles of a monthly and of a weekly report of every line."""
    found = {}
    for kind, period in (
        (ReportKind.MONTHLY, evidence_month.PERIOD),
        (ReportKind.WEEKLY, parse_period("2026-W26")),
    ):
        found[kind.value] = month.folder / f"{kind}.zip"
        name, content = issued(month, kind, period)
        write(found[kind.value], issue_bundle(month, name, content))
    return found


@pytest.mark.parametrize("kind", ["monthly", "weekly"])
def test_every_figure_of_an_issued_report_is_computed_anew(
    issues: dict[str, Path], kind: str
) -> None:
    report = checked(issues[kind])
    assert differences(report) == []
    stated = table(issues[kind], "report.json")
    agreeing = [one.text for one in report.of(Kind.AGREES) if "figures of the report" in one.text]
    assert len(agreeing) == sum(len(stated[name]) for name in ("rows", "weeks", "commune_month"))
    assert {row["level"] for row in stated["rows"]} == {
        "area", "commune", "isp_plan", "line", "family", "line_family",
    }  # fmt: skip
    (archived,) = (issues[kind].parent / "papers").glob(f"{kind}_all_*_v1.json")
    with zipfile.ZipFile(issues[kind]) as archive:
        assert archive.read("report.json") == archived.read_bytes()


# These say which row it is.
NAMES = {
    "level", "commune_code", "commune", "office", "tenant", "probe", "line", "isp", "family",
    "monday", "declared_bps",
}  # fmt: skip


def spoil(row: dict[str, Any]) -> list[str]:
    """Change every figure of a row; their names."""
    changed = []
    for name, value in row.items():
        if isinstance(value, dict):
            changed += [f"{name}.{inner}" for inner in spoil(value)]
        elif name not in NAMES:
            row[name] = "none of these" if isinstance(value, str) else (value or 0) * 1.5 + 1e9
            changed.append(name)
    return changed


@pytest.mark.parametrize("kind", ["monthly", "weekly"])
def test_each_changed_figure_of_an_issued_report_is_named(
    issues: dict[str, Path], tmp_path: Path, kind: str
) -> None:
    changed: list[str] = []

    def change(report: Any) -> None:
        for rows in (report["rows"], report["weeks"], report["commune_month"]):
            changed.extend(name for row in rows for name in spoil(row))

    files = Files(issues[kind])
    files.json("report.json", change)
    files.write(tmp_path / "tampered.zip", new_manifest=True)
    found = differences(checked(tmp_path / "tampered.zip"))
    named = [text.partition(" is ")[0].rpartition(": ")[2] for text in found]
    assert sorted(named) == sorted(changed)
    assert len(changed) > 500


def stated_row(level: str) -> Callable[[Any], dict[str, Any]]:
    return lambda report: next(row for row in report["rows"] if row["level"] == level)


def row_left_out(files: Files) -> None:
    files.json("report.json", lambda it: it["rows"].remove(stated_row("commune")(it)))


def row_added(files: Files) -> None:
    def change(report: Any) -> None:
        report["rows"].append(stated_row("isp_plan")(report) | {"isp": "Another"})

    files.json("report.json", change)


def row_twice(files: Files) -> None:
    files.json("report.json", lambda it: it["rows"].append(stated_row("area")(it)))


def commune_of_a_probe(files: Files) -> None:
    files.json("registry.json", lambda it: it["probes"][0].update(commune="01981"))


def isp_of_a_line(files: Files) -> None:
    files.json("registry.json", lambda it: it["probes"][0]["lines"][0].update(isp="viettel"))


def made_earlier(files: Files) -> None:
    """As if most results had come too late for it."""
    files.json("report.json", lambda it: it.update(made_at="2026-06-24T00:00:00Z"))


def days_before_left_out(files: Files) -> None:
    """A weekly report counts the tests of the weeks before."""

    def change(lines: list[dict[str, Any]]) -> None:
        for one in [x for x in lines if "record" in x][:100]:
            lines.remove(one)

    files.lines(change)


ISSUE_TAMPERINGS = [
    Tampering(row_left_out, "it has no row of commune 01969"),
    Tampering(row_added, "a row that no result is of"),
    Tampering(row_twice, "the report has this row twice"),
    Tampering(commune_of_a_probe, "commune of probe bach-thong/tram-01969-1 is 01981"),
    Tampering(isp_of_a_line, "isp is VNPT in the report, Viettel by the results"),
    Tampering(contract_moved_slightly, "contract_date of line bach-thong/tram-01969-1/vnpt is"),
    Tampering(made_earlier, "attempted is"),
    Tampering(days_before_left_out, "was signed and is left out"),
    Tampering(thresholds, "the report has other thresholds"),
]


@pytest.mark.parametrize("one", ISSUE_TAMPERINGS, ids=lambda one: one.change.__name__)
def test_a_tampering_with_an_issue_is_found_and_named(
    issues: dict[str, Path], tmp_path: Path, one: Tampering
) -> None:
    files = Files(issues["weekly"])
    one.change(files)
    files.write(tmp_path / "tampered.zip", new_manifest=True)
    found = differences(checked(tmp_path / "tampered.zip"))
    assert any(one.named in text for text in found), found


def test_what_came_after_an_issue_is_in_none_of_its_figures(tmp_path: Path) -> None:
    """Later results, a later plan: the issue is checked as of when it was made."""
    folder = tmp_path / "small"
    folder.mkdir()
    small = EvidenceMonth(folder, tests_a_day=2, light_a_day=1)
    name, content = issued(small, ReportKind.MONTHLY, evidence_month.PERIOD)
    after = evidence_month.LATER + timedelta(days=1)
    day = evidence_month.FIRST + timedelta(days=10)
    late = [samples.throughput(line=samples.VNPT, started_at=day) for _ in range(3)]
    small.send("throughput", late, after)
    small.roll_up()
    text = seeded_centre.REGISTRY.replace("plan_down_mbit_s = 300", "plan_down_mbit_s = 500", 1)
    registry = parse_toml(text.encode(), "registry.toml", official())
    small.store.registry.apply(registry, "test", "registry.toml", after)
    write(folder / "issue.zip", issue_bundle(small, name, content))
    report = checked(folder / "issue.zip")
    assert differences(report) == []
    assert "3 results arrived after the report was issued" in unknown(report)
    write(folder / "line.zip", BundlePieces(question(), small.sources()))
    assert differences(checked(folder / "line.zip")) == []
    small.store.close()
    shutil.rmtree(folder)


UNSIGNED = ["method.md", "README.md", "README.vi.md", "registry.json", "thresholds.json"]


@pytest.mark.parametrize("name", UNSIGNED)
def test_what_nobody_signed_is_found_by_the_manifest_and_its_digest(
    bundle: Path, tmp_path: Path, name: str
) -> None:
    handed_over = checked(bundle).digest
    assert differences(checked(bundle, Trust(digest=handed_over))) == []
    files = Files(bundle)
    files.content[name] += b" "
    path = tmp_path / "tampered.zip"
    files.write(path, new_manifest=False)
    assert differences(checked(path)) == [f"{name}: it is not the file of the manifest's SHA-256"]
    files.write(path, new_manifest=True)
    assert differences(checked(path)) == []
    assert "compare its SHA-256" in unknown(checked(path))
    assert differences(checked(path, Trust(digest=handed_over))) == [
        "manifest.json: its SHA-256 is not the one of --digest"
    ]


def test_a_file_more_or_less_is_named(bundle: Path, tmp_path: Path) -> None:
    files = Files(bundle)
    files.content["note.txt"] = files.content.pop("README.md")
    files.write(tmp_path / "tampered.zip", new_manifest=False)
    assert differences(checked(tmp_path / "tampered.zip")) == [
        "README.md: the manifest names it, and it is not there",
        "note.txt: it is there, and the manifest does not name it",
    ]


def test_another_probe_s_certificate_does_not_count(
    other_probe: SigningProbe, bundle: Path, tmp_path: Path
) -> None:
    other = other_probe
    files = Files(bundle)
    files.json(
        "certificates.json",
        lambda it: it[0].update(certificate=other.key.certificate, key=other.key.key),
    )
    files.write(tmp_path / "tampered.zip", new_manifest=True)
    found = differences(checked(tmp_path / "tampered.zip"))
    assert any(f"is of {OTHER}" in text for text in found)
    assert any("of which there is no certificate" in text for text in found)


def test_another_probe_s_signature_does_not_count(
    other_probe: SigningProbe, bundle: Path, tmp_path: Path
) -> None:
    other = other_probe

    def change(lines: list[dict[str, Any]]) -> None:
        block = lines[block_at(lines, 20)]["block"]
        block["signature"] = other.key.sign(b"something")

    files = Files(bundle)
    files.lines(change)
    files.write(tmp_path / "tampered.zip", new_manifest=True)
    found = differences(checked(tmp_path / "tampered.zip"))
    assert len([text for text in found if "is not what the probe signed" in text]) == 1


def test_another_authority_is_found(month: EvidenceMonth, bundle: Path, tmp_path: Path) -> None:
    other = SigningProbe(tmp_path / "authority")
    found = differences(checked(bundle, Trust(other.authority_pem)))
    assert any("is not of the authority" in text for text in found)
    files = Files(bundle)
    files.content["authority.pem"] = other.authority_pem
    files.write(tmp_path / "tampered.zip", new_manifest=True)
    found = differences(checked(tmp_path / "tampered.zip"))
    assert any("is not of the authority" in text for text in found)
    trusted = checked(bundle, Trust(month.probe.authority_pem))
    assert trusted.fingerprints == checked(bundle).fingerprints


def test_the_command_says_what_agrees_and_by_its_exit_code(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    digest = checked(bundle).digest
    assert cli.main([str(bundle), "--digest", digest]) == 0
    shown = capsys.readouterr().out
    assert f"manifest SHA-256: {digest}" in shown
    assert "Khớp / agrees" in shown
    assert cli.main([str(bundle), "--digest", digest, "--lang", "vi"]) == 0
    shown = capsys.readouterr().out
    assert f"mã SHA-256 của manifest.json: {digest}" in shown
    assert "khớp: bach-thong/tram-01969-1/vnpt: 57 trên 57 số liệu của báo cáo" in shown
    assert "Kết luận: Khớp. Số chỗ khác: 0" in shown
    assert not re.search(r"\b(the|is|are|was|not|of)\b", shown), "a sentence is English"
    files = Files(bundle)
    verdict(files)
    tampered = tmp_path / "tampered.zip"
    files.write(tampered, new_manifest=True)
    assert cli.main([str(tampered), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["agrees"] is False
    assert [one["kind"] for one in found["findings"]].count("differs") == 1
    assert cli.main([str(tmp_path / "none.zip")]) == 2
    assert "none.zip" in capsys.readouterr().err


UNREADABLE: dict[str, Callable[[Files], object]] = {
    "manifest.json": lambda files: files.content.pop("manifest.json"),
    "report.json is missing": lambda files: files.content.pop("report.json"),
    "no bundle has": lambda files: files.content.update({"../outside.txt": b"harmless"}),
    "is no JSON": lambda files: files.content.update({"report.json": b"{"}),
    "is no xz file": lambda files: files.content.update({RESULTS: b"plain text, and not xz"}),
    "is cut off": lambda files: files.content.update({RESULTS: files.content[RESULTS][:-500]}),
    "not as README.md says": lambda files: files.json("report.json", lambda it: it.pop("rows")),
}


@pytest.mark.parametrize("sentence", UNREADABLE)
def test_what_is_no_bundle_is_refused_in_words(bundle: Path, tmp_path: Path, sentence: str) -> None:
    files = Files(bundle)
    UNREADABLE[sentence](files)
    path = tmp_path / "unreadable.zip"
    files.write(path, new_manifest="manifest.json" in files.content)
    with pytest.raises(BundleError, match=sentence):
        checked(path)


def test_another_version_of_bundles_and_what_is_too_large_are_refused(
    bundle: Path, tmp_path: Path
) -> None:
    files = Files(bundle)
    files.json("manifest.json", lambda it: it.update(schema="tramdo-evidence/9"))
    files.write(tmp_path / "newer.zip", new_manifest=False)
    with pytest.raises(BundleError, match="another version"):
        checked(tmp_path / "newer.zip")
    with Bundle(bundle, 100_000) as opened, pytest.raises(BundleError, match="--most-bytes"):
        check(opened, Trust())
    with pytest.raises(BundleError, match="no ZIP"):
        checked(Path(__file__))


def test_epochs_are_checked_alike_by_one_process_and_by_several(tmp_path: Path) -> None:
    folder = tmp_path / "small"
    folder.mkdir()
    small = EvidenceMonth(folder, tests_a_day=2, light_a_day=1)
    small.begin_epoch(samples.OTHER_EPOCH)
    day = evidence_month.FIRST + timedelta(days=10)
    small.send("throughput", [samples.throughput(line=samples.VNPT, started_at=day)] * 3)
    small.roll_up()
    write(folder / "line.zip", BundlePieces(question(), small.sources()))
    small.store.close()
    report = checked(folder / "line.zip")
    assert differences(report) == []
    assert sorted(counts.proven for counts in report.epochs.values()) == [3, 30 * 4 + 1]
    (certificate,) = table(folder / "line.zip", "certificates.json")
    line = "/".join(evidence_month.VNPT)
    period = evidence_month.PERIOD
    days = Days(period.first, period.last, period.first)
    with Bundle(folder / "line.zip", MOST_BYTES) as opened:
        jobs = [
            Walk(opened.path, MOST_BYTES, name, epoch, [certificate["certificate"]], [], [line],
                 days, None)
            for name, epoch in opened.epochs()
        ]  # fmt: skip
    alone, together = (list(walk_all(jobs, 1 << 30, cores)) for cores in (1, 2))
    assert [vars(one.counts) for one in alone] == [vars(one.counts) for one in together]
    means = [
        joined_samples([line], some, days)[line].whole.figure("throughput_download_bps").mean
        for some in (alone, together)
    ]
    assert means[0] == means[1]
    with pytest.raises(BundleError, match="--most-bytes"):
        list(walk_all([job._replace(most_bytes=200_000) for job in jobs], 1 << 30, 2))
    shutil.rmtree(folder)


def test_results_that_nobody_signed_are_counted(tmp_path: Path) -> None:
    folder = tmp_path / "small"
    folder.mkdir()
    small = EvidenceMonth(folder, tests_a_day=2, light_a_day=1)
    late = evidence_month.FIRST.replace(month=6, day=20)
    small.unsigned(*(samples.latency(line=samples.VNPT, started_at=late) for _ in range(3)))
    small.roll_up()
    write(folder / "line.zip", BundlePieces(question(), small.sources()))
    small.store.close()
    report = checked(folder / "line.zip")
    assert differences(report) == []
    assert "3 results are not signed" in unknown(report)
    shutil.rmtree(folder)
