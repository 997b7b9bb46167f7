"""One figure of a bundle of evidence, checked with Python's own library and `openssl`.

    python3 docs/evidence_example.py BUNDLE TENANT/PROBE/LINE

It walks the chain of each epoch, verifies its signatures, and computes the mean download speed of
the line. An ISP may write the same in any language: docs/evidence.md has the formats.
"""

from __future__ import annotations

import base64
import json
import lzma
import re
import subprocess
import sys
import tempfile
import zipfile
from hashlib import sha256
from pathlib import Path

# A result with another flag than these is in no mean of kind `throughput` (method.md, V and R4).
HARMLESS = {"clock_unsynced", "clock_repaired"}


class Epoch:
    """The chain of one epoch: results wait until their block comes."""

    def __init__(self, name: str, certificates: dict[str, bytes]) -> None:
        _, self.tenant, self.probe, file = name.split("/")
        self.epoch = file.removesuffix(".jsonl.xz")
        self.certificates = certificates
        self.waiting: dict[int, str] = {}
        self.last: tuple[dict, bytes] | None = None
        self.signed = 0

    def add_record(self, record: dict) -> None:
        # A masked result states the digest of the bytes that were signed.
        signed = record.get("sent", record["body"]).encode()
        self.waiting[record["seq"]] = record.get("sha256") or sha256(signed).hexdigest()

    def add_block(self, block: dict) -> None:
        known = self.waiting | dict(block["digests"])
        numbers = range(block["first"], block["first"] + block["count"])
        lines = [
            "tramdo-signature/1",
            f"{self.tenant}/{self.probe}",
            self.epoch,
            str(block["first"]),
            block["previous"],
            *(known[number] for number in numbers),
            "",
        ]
        text = "\n".join(lines).encode()
        if self.last is not None:
            before, text_before = self.last
            if block["previous"] != sha256(text_before).hexdigest():
                sys.exit(f"{self.epoch}: the chain is broken before result {block['first']}")
            # A signature covers all blocks before it, so only the last one of a key is verified.
            if before["key"] != block["key"]:
                self.verify()
        self.signed += sum(number in self.waiting for number in numbers)
        for number in [number for number in self.waiting if number <= numbers[-1]]:
            del self.waiting[number]
        self.last = block, text

    def verify(self) -> None:
        if self.last is None:
            return
        block, text = self.last
        if not openssl_verifies(self.certificates[block["key"]], text, block["signature"]):
            sys.exit(f"{self.epoch}: what stands up to result {block['first']} was changed")


def openssl_verifies(certificate: bytes, text: bytes, signature: str) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        files = {name: Path(folder, name) for name in ("cert", "key", "text", "signature")}
        files["cert"].write_bytes(certificate)
        key = ["openssl", "x509", "-inform", "DER", "-in", files["cert"], "-pubkey", "-noout"]
        files["key"].write_bytes(subprocess.run(key, capture_output=True, check=True).stdout)
        files["text"].write_bytes(text)
        files["signature"].write_bytes(der(base64.urlsafe_b64decode(signature + "==")))
        command = ["openssl", "dgst", "-sha256", "-verify", files["key"], "-signature",
                   files["signature"], files["text"]]  # fmt: skip
        return subprocess.run(command, capture_output=True, check=False).returncode == 0


def der(raw: bytes) -> bytes:
    """R and S of 32 bytes each, as OpenSSL takes them: two INTEGERs in a SEQUENCE."""
    content = b""
    for part in (raw[:32], raw[32:]):
        number = part.lstrip(b"\0") or b"\0"
        number = b"\0" + number if number[0] > 0x7F else number
        content += bytes([2, len(number)]) + number
    return bytes([0x30, len(content)]) + content


def is_in_the_mean(result: dict, line: str) -> bool:
    return (
        result["kind"] == "throughput"
        and result["line"]["id"] == line
        and result["slot_at"] is not None  # not on demand
        and set(result.get("validity", ())) <= HARMLESS
        and result["values"] is not None
        and result["values"]["download_whole_bps"] is not None
    )


def main() -> None:
    path, whole_name = sys.argv[1:]
    tenant, probe, line = whole_name.split("/")
    speeds: list[float] = []
    with zipfile.ZipFile(path) as bundle:
        certificates = {
            one["key"]: base64.b64decode(one["certificate"])
            for one in json.loads(bundle.read("certificates.json"))
            if (one["tenant"], one["probe"]) == (tenant, probe)
        }
        for name in sorted(bundle.namelist()):
            if not re.fullmatch(rf"results/{tenant}/{probe}/[0-9a-f-]+\.jsonl\.xz", name):
                continue
            chain = Epoch(name, certificates)
            with lzma.open(bundle.open(name)) as lines:
                for text in lines:
                    entry = json.loads(text)
                    if "block" in entry:
                        chain.add_block(entry["block"])
                        continue
                    chain.add_record(entry["record"])
                    result = json.loads(entry["record"]["body"])
                    if is_in_the_mean(result, line):
                        speeds.append(result["values"]["download_whole_bps"])
            chain.verify()
            print(f"{name}: {chain.signed} results signed, one chain")
        report = json.loads(bundle.read("report.json"))
    rows = [row for row in report["rows"] if row["level"] == "line"]
    (row,) = [row for row in rows if (row["probe"], row["line"]) == (probe, line)]
    mean = sum(speeds) / len(speeds)
    print(f"mean of {len(speeds)} tests: {mean:.0f} bit/s")
    print(
        f"in the report, of {row['download']['samples']}: {row['download']['mean_bps']:.0f} bit/s"
    )


if __name__ == "__main__":
    main()
