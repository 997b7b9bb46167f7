"""Floor 3. Dependencies: known vulnerabilities, and the software bill of materials (SBOM).

    python -m deploy.supply_chain audit     by pip-audit, over every locked package
    python -m deploy.supply_chain sbom      CycloneDX JSON of what is installed on probe and centre

Both read requirements/*.txt, so they cover what is installed by hash. Exit codes:
0 done and nothing found; 1 a vulnerability, or a tool failed; 2 wrong usage; 3 the vulnerability
service did not answer for every package, so the result is unknown.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from wire.decoding import decode_json

TOOLS = Path(".venv/tools/bin")
LOCKS = Path("requirements")
SBOM = Path("out/sbom.json")
# `dev` holds all that the others do, and what only a checkout has.
AUDITED = ("dev", "build")
INSTALLED = ("probe", "collector", "authority")
OK, FOUND, UNKNOWN = 0, 1, 3


class Vulnerability(Struct, frozen=True):
    """One known weakness, as pip-audit names it."""

    id: str
    fix_versions: list[str] = []


class AuditedPackage(Struct, frozen=True):
    """pip-audit's record of a package; `skip_reason` where it could not be audited."""

    name: str
    version: str | None = None
    vulns: list[Vulnerability] = []
    skip_reason: str | None = None


class AuditReport(Struct, frozen=True):
    """pip-audit's JSON."""

    dependencies: list[AuditedPackage]


_EPILOG = """exit codes:
  0  done, and nothing found
  1  a vulnerability, or a tool failed
  2  the command line is wrong
  3  the vulnerability service did not answer for every package: the result is unknown
"""


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m deploy.supply_chain",
        description="Audit every locked package, or list what is installed (CycloneDX).",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "command",
        choices=["audit", "sbom"],
        help="audit: known vulnerabilities, by pip-audit; sbom: bill of materials as JSON",
    )
    return _audit() if parser.parse_args(argv).command == "audit" else _sbom()


def requirements(texts: Sequence[str]) -> list[str]:
    """Each locked requirement of several files once, with its hashes, in alphabetical order."""
    found: set[str] = set()
    for text in texts:
        kept = [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]
        found.update("\n".join(kept).replace("\\\n", "").splitlines())
    return sorted(" ".join(line.split()) for line in found)


def audit_summary(report: AuditReport) -> tuple[list[str], int]:
    """The audit's lines and exit code. A package that could not be audited is never "ok"."""
    vulnerable = [package for package in report.dependencies if package.vulns]
    skipped = [package for package in report.dependencies if package.skip_reason is not None]
    lines = [
        f"{package.name} {package.version}: {found.id} "
        f"(mended in {', '.join(found.fix_versions) or 'no version'})"
        for package in vulnerable
        for found in package.vulns
    ]
    asked = len(report.dependencies) - len(skipped)
    lines.append(f"{asked} of {len(report.dependencies)} packages audited")
    if skipped:
        lines.append(f"no answer about {len(skipped)} of them, for example:")
        lines.append(f"  {skipped[0].skip_reason}")
        lines.append("not audited is not safe: ask again where the service can be reached")
    if vulnerable:
        return lines, FOUND
    return lines, UNKNOWN if skipped or not asked else OK


def _audit() -> int:
    command = [str(TOOLS / "pip-audit"), "--disable-pip", "--require-hashes", "--format", "json"]
    command += ["--progress-spinner", "off"]
    for name in AUDITED:
        command += ["--requirement", str(LOCKS / f"{name}.txt")]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        report = decode_json(run.stdout, AuditReport)
    except msgspec.MsgspecError:
        last = (run.stderr.strip() or "it said nothing").splitlines()[-1]
        print(f"the vulnerability service could not be asked: {last}", file=sys.stderr)
        return UNKNOWN
    lines, code = audit_summary(report)
    print("\n".join(lines))
    return code


def _sbom() -> int:
    locked = requirements([(LOCKS / f"{name}.txt").read_text("utf-8") for name in INSTALLED])
    SBOM.parent.mkdir(exist_ok=True)
    command = [str(TOOLS / "cyclonedx-py"), "requirements", "--pyproject", "pyproject.toml"]
    command += ["--output-reproducible", "--of", "JSON", "-o", str(SBOM), "-"]
    run = subprocess.run(
        command, input="\n".join(locked), capture_output=True, text=True, check=False
    )
    if run.returncode:
        print(run.stderr, file=sys.stderr)
        return FOUND
    print(f"{SBOM}: {len(locked)} packages ({', '.join(INSTALLED)})")
    return OK


if __name__ == "__main__":
    sys.exit(main())
