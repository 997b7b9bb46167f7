"""Floor 2. Checks a whole bundle: files, signatures, chains, and every figure of the report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime
from typing import Any, NamedTuple

from verify import registry
from verify.archive import REQUIRED, SCHEMA, Bundle
from verify.certificates import Authority, Certificate
from verify.chain import Counts
from verify.epochs import Walk, joined_samples, walk_all
from verify.findings import BundleError, Finding, Kind
from verify.rows import Statements, figures
from verify.samples import Days, LineSamples

_MAINTENANCE = "maintenance.json"


class Trust(NamedTuple):
    """What the reader has from elsewhere: the authority's PEM, the manifest's SHA-256."""

    authority_pem: bytes | None = None
    digest: str | None = None


class Report(NamedTuple):
    """What came of a check. `epochs` has the counts of each epoch by name."""

    digest: str
    question: Mapping[str, Any]
    fingerprints: list[str]
    epochs: Mapping[str, Counts]
    findings: list[Finding]

    def of(self, kind: Kind) -> list[Finding]:
        """The findings of a kind."""
        return [finding for finding in self.findings if finding.kind is kind]


def check(bundle: Bundle, trust: Trust, cores: int = 1) -> Report:
    """Check a bundle, on so many cores at most.

    Raises:
        BundleError: it lacks what a bundle has, or cannot be read.
    """
    if bundle.manifest.get("schema") != SCHEMA:
        raise BundleError(f"it is no {SCHEMA}: this program is of another version")
    for name in REQUIRED:
        if not bundle.has(name):
            raise BundleError(f"{name} is missing")
    try:
        return _checked(bundle, trust, cores)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
        raise BundleError(f"a file of it is not as README.md says: {error!r}") from error


def _checked(bundle: Bundle, trust: Trust, cores: int) -> Report:
    findings = [*_files(bundle, trust)]
    certificates, authority = _certificates(bundle, trust, findings)
    question = bundle.manifest["question"]
    days, report = _days(question), bundle.table("report.json")
    made_at = datetime.fromisoformat(report["made_at"]) if question.get("issue") else None
    lines = [str(line) for line in question["lines"]]
    given_up = {
        (one["tenant"], one["probe"], one["epoch"]): [tuple(pair) for pair in one["given_up"]]
        for one in bundle.table("ledgers.json")
    }
    jobs = [
        Walk(
            bundle.path,
            bundle.most_bytes,
            name,
            epoch,
            certificates.get(epoch[:2], []),
            given_up.get(epoch, []),
            [line for line in lines if line.startswith(f"{epoch[0]}/{epoch[1]}/")],
            days,
            made_at,
        )
        for name, epoch in bundle.epochs()
    ]
    walked = list(walk_all(jobs, bundle.compressed_bytes(job.name for job in jobs), cores))
    for one in walked:
        findings += [*one.findings, *_by_digest(one.name, one.counts)]
    samples = joined_samples(lines, walked, days)
    findings += _left_out(bundle, samples)
    findings += _statements(bundle, report, question)
    statements = Statements(
        report,
        bundle.table("registry.json"),
        report["thresholds"],
        bundle.table("plans.json"),
        bundle.table(_MAINTENANCE) if bundle.has(_MAINTENANCE) else (),
        made_at,
    )
    findings += registry.changes(statements.registry, made_at)
    as_of = datetime.fromisoformat(question["as_of"])
    findings += figures(samples, statements, days, as_of)
    fingerprints = authority.fingerprints if authority else []
    epochs = {one.name: one.counts for one in walked}
    return Report(bundle.digest, question, fingerprints, epochs, findings)


def _days(question: Mapping[str, Any]) -> Days:
    first, last = (date.fromisoformat(question[name]) for name in ("first_day", "last_day"))
    results_from = question.get("results_from")
    return Days(first, last, date.fromisoformat(results_from) if results_from else first)


def _files(bundle: Bundle, trust: Trust) -> Iterator[Finding]:
    found = list(bundle.against_manifest())
    yield from found
    if not found:
        yield Finding(Kind.AGREES, "manifest.json", "each file has the SHA-256 that it states")
    if trust.digest is None:
        yield Finding(
            Kind.UNKNOWN,
            "manifest.json",
            "whether it is the one that was handed over: compare its SHA-256, or use --digest",
        )
    elif trust.digest.lower() != bundle.digest:
        yield Finding(Kind.DIFFERS, "manifest.json", "its SHA-256 is not the one of --digest")


def _certificates(
    bundle: Bundle, trust: Trust, findings: list[Finding]
) -> tuple[dict[tuple[str, str], list[str]], Authority | None]:
    """The certificates of each probe that the authority has issued, as they are in the file."""
    own = bundle.content("authority.pem") if bundle.has("authority.pem") else None
    pem = trust.authority_pem or own
    authority = Authority(pem) if pem else None
    subject = "certificates.json"
    if trust.authority_pem is None:
        findings.append(
            Finding(
                Kind.UNKNOWN,
                "authority.pem",
                "whether it is the authority that the probes' owner has: compare its fingerprint, "
                "or use --authority",
            )
        )
    found: dict[tuple[str, str], list[str]] = {}
    for one in bundle.table(subject):
        certificate = Certificate(one["certificate"])
        name = f"the certificate {certificate.key} of {one['tenant']}/{one['probe']}"
        if authority is None or not certificate.is_of(authority):
            findings.append(Finding(Kind.DIFFERS, subject, f"{name} is not of the authority"))
        elif certificate.name != one["probe"] or certificate.key != one["key"]:
            findings.append(Finding(Kind.DIFFERS, subject, f"{name} is of {certificate.name}"))
        else:
            found.setdefault((one["tenant"], one["probe"]), []).append(one["certificate"])
    return found, authority


def _by_digest(subject: str, counts: Counts) -> Iterator[Finding]:
    if counts.by_digest:
        yield Finding(
            Kind.UNKNOWN,
            subject,
            f"{counts.by_digest} signed results are there by their digest alone: the question "
            "leaves out other lines and days, and nobody can see from a digest which it is",
        )
    if counts.masked:
        yield Finding(
            Kind.UNKNOWN,
            subject,
            f"{counts.masked} results are in the chain, and what is shown of them cannot be "
            "proven: addresses are masked",
        )


def _left_out(bundle: Bundle, samples: Mapping[str, LineSamples]) -> Iterator[Finding]:
    """The centre's count of what is in no figure, against the results."""
    stated = {
        (one["line"], one["kind"], one["flag"]): one["results"]
        for one in bundle.table("left_out.json")
        if one["line"] in samples
    }
    counted = {
        (line, *key): count
        for line, mine in samples.items()
        for key, count in mine.left_out.items()
    }
    for line, kind, flag in sorted(stated.keys() | counted.keys()):
        of_both = stated.get((line, kind, flag), 0), counted.get((line, kind, flag), 0)
        if of_both[0] != of_both[1]:
            yield Finding(
                Kind.DIFFERS,
                "left_out.json",
                f"{kind} with {flag} of {line}: {of_both[0]} stated, {of_both[1]} counted",
            )
    for line, mine in samples.items():
        if mine.outside:
            yield Finding(Kind.DIFFERS, line, f"{mine.outside} results are not of the period")
        if mine.late:
            yield Finding(
                Kind.UNKNOWN,
                line,
                f"{mine.late} results arrived after the report was issued, as the centre states: "
                "they are in none of its figures",
            )


def _statements(
    bundle: Bundle, report: Mapping[str, Any], question: Mapping[str, Any]
) -> Iterator[Finding]:
    """What the centre states twice, and what it states of its own report."""
    if report["thresholds"] != bundle.table("thresholds.json"):
        yield Finding(Kind.DIFFERS, "thresholds.json", "the report has other thresholds")
    for name in ("first_day", "last_day"):
        if report[name] != question[name]:
            yield Finding(Kind.DIFFERS, "report.json", f"its {name} is not the question's")
    if question.get("issue") and report["waiting"]:
        yield Finding(
            Kind.UNKNOWN,
            "report.json",
            f"it states that {report['waiting']} results, of any day, were not in its figures "
            "yet when it was made",
        )
