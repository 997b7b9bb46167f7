"""Floor 3. The command `tramdo-verify`: checks a bundle of evidence, without the centre."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from verify import vietnamese
from verify.archive import Bundle
from verify.check import Report, Trust, check
from verify.findings import BundleError, Kind

AGREES, DIFFERS, UNREADABLE = 0, 1, 2
_EPILOG = """exit codes:
  0  everything that can be checked agrees
  1  something differs, is missing or was changed
  2  the file cannot be read, or is no bundle
"""
_CONCLUSIONS = {
    AGREES: ("Khớp", "agrees"),
    DIFFERS: ("CÓ KHÁC BIỆT", "DIFFERS"),
}


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    options = _parser().parse_args(argv)
    try:
        authority = options.authority.read_bytes() if options.authority else None
        with Bundle(options.bundle, options.most_bytes) as bundle:
            report = check(bundle, Trust(authority, options.digest), options.jobs)
    except (BundleError, OSError) as error:
        print(f"{options.bundle}: {error}", file=sys.stderr)
        return UNREADABLE
    code = DIFFERS if report.of(Kind.DIFFERS) else AGREES
    if options.json:
        print(json.dumps(_table(report, code), ensure_ascii=False, indent=1))
    else:
        _print(report, code, options.lang)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tramdo-verify",
        description="Checks a bundle of `tramdo-collector evidence`: signatures, chains, and every "
        "figure of the report from the raw results.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("bundle", type=Path, help="the ZIP file")
    parser.add_argument(
        "--lang", choices=("vi", "en"), default="en", help="the language (default: %(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    parser.add_argument(
        "--authority",
        type=Path,
        metavar="FILE",
        help="the authority's certificate (PEM), from elsewhere than the bundle",
    )
    parser.add_argument(
        "--digest", metavar="SHA256", help="the manifest's SHA-256, from elsewhere than the bundle"
    )
    parser.add_argument(
        "--most-bytes",
        type=int,
        default=64 << 30,
        metavar="BYTES",
        help="how much the results may be once decompressed (default: %(default)s)",
    )
    parser.add_argument(
        "--jobs",
        type=int,
        default=os.cpu_count() or 1,
        metavar="N",
        help="how many processes check the results of large bundles (default: %(default)s)",
    )
    return parser


def _print(report: Report, code: int, language: str) -> None:
    if language == "vi":
        _print_vietnamese(report, code)
        return
    question = report.question
    if question.get("issue"):
        print(f"report: {question['issue']}")
    print(f"lines: {', '.join(question['lines'])}")
    print(f"period: {question['first_day']} to {question['last_day']}")
    print(f"manifest SHA-256: {report.digest}")
    for fingerprint in report.fingerprints:
        print(f"authority SHA-256: {fingerprint}")
    for name, counts in report.epochs.items():
        print(
            f"{name}: {counts.proven} results proven byte for byte, {counts.masked} masked, "
            f"{counts.unsigned} unsigned"
        )
    for kind in Kind:
        for finding in report.of(kind):
            print(f"{kind.value}: {finding.subject}: {finding.text}")
    print(" / ".join(_CONCLUSIONS[code]))


def _print_vietnamese(report: Report, code: int) -> None:
    question = report.question
    if question.get("issue"):
        print(f"báo cáo: {question['issue']}")
    print(f"đường truyền: {', '.join(question['lines'])}")
    print(f"thời gian: từ {question['first_day']} đến hết {question['last_day']}")
    print(f"mã SHA-256 của manifest.json: {report.digest}")
    for fingerprint in report.fingerprints:
        print(f"mã SHA-256 của chứng thư cơ quan cấp: {fingerprint}")
    for name, counts in report.epochs.items():
        print(
            f"{name}: {counts.proven} kết quả chứng minh được từng byte, {counts.masked} kết quả "
            f"che địa chỉ, {counts.unsigned} kết quả không có chữ ký"
        )
    for kind in Kind:
        for finding in report.of(kind):
            text = vietnamese.sentence(finding.text) or finding.text
            subject = vietnamese.subject(finding.subject)
            print(f"{vietnamese.KINDS[kind]}: {subject}: {text}")
    differing, unknown = len(report.of(Kind.DIFFERS)), len(report.of(Kind.UNKNOWN))
    print(
        f"Kết luận: {_CONCLUSIONS[code][0]}. Số chỗ khác: {differing}; số điều không thể biết: "
        f"{unknown}."
    )


def _table(report: Report, code: int) -> dict[str, object]:
    return {
        "agrees": code == AGREES,
        "manifest_sha256": report.digest,
        "question": report.question,
        "authority_sha256": report.fingerprints,
        "epochs": {name: vars(counts) for name, counts in report.epochs.items()},
        "findings": [finding._asdict() for finding in report.findings],
    }
