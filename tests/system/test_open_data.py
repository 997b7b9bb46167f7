"""A published month, read by the programs that people read such files with."""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any

import duckdb
import pandas
import polars
import pyarrow.parquet
import pytest
from msgspec import structs

from collector.cli import main
from collector.domain import thresholds_file
from collector.domain.lines import known_lines
from collector.domain.read_model import ReadModel
from collector.ingest.status import IngestStatus
from collector.ingest.validation import validate
from collector.open_data.columns import PUBLIC_KINDS, columns
from collector.open_data.dictionary import LINE_COLUMNS, dictionary
from collector.open_data.publish import MonthPublisher
from collector.open_data.signing_key import load_or_create
from collector.registry.communes import official
from collector.registry.file_format import parse_toml
from collector.rollup.periods import parse_period, start_of_day
from collector.store.messages import ResultsMessage
from collector.store.sqlite import SqliteStore
from collector.store.store import Store
from collector.users.user_store import UserStore
from collector.web.app import Web
from collector.web.change_signal import ChangeSignal
from collector.web.server import WebServer
from tests import samples, seeded_centre
from tests.ports import free_port
from tests.system.test_extras import PROGRAM
from wire.result import Family, Line, LineOperator, Nat, Result, Validity

OCTOBER = parse_period("2026-10")
NOW = datetime(2026, 11, 4, 2, 0, tzinfo=UTC)
# What stands in raw results and must be in no published file.
PRIVATE = (
    "tram-01969-1", "113.160.4.7", "2001:ee0:4321:8765::7", "192.168.1.1", "203.0.113.5", "eth0",
    "may-chu-1", "dichvucong", "Phủ Thông", "kiem-thu-noi-bo", "bach-thong",
)  # fmt: skip


def at(day: int, hour: int) -> datetime:
    return start_of_day(date(2026, 10, 1)) + timedelta(days=day - 1, hours=hour)


def results() -> list[Result]:
    """Of every public kind and of others, with what is personal in them."""
    line = Line("vnpt", "VNPT", "eth0", "2001:ee0:4321:8765::7")
    operator = LineOperator("113.160.4.7", Nat.CARRIER_GRADE, at(1, 0))
    every: list[Result] = [
        samples.throughput(line=line, family=Family.IPV4, started_at=at(1, 0)),
        samples.throughput(started_at=at(2, 0), validity=[Validity.CROSS_TRAFFIC]),
        structs.replace(samples.throughput(started_at=at(3, 0)), slot_at=None),
        samples.latency(started_at=at(1, 1), target="icmp:kiem-thu-noi-bo"),
        samples.latency(started_at=at(31, 23), family=Family.IPV6, rtt_ms=7.25),
        samples.latency(started_at=at(31, 24), rtt_ms=99.0),
        structs.replace(samples.dns(), started_at=at(4, 0)),
        structs.replace(samples.web(), started_at=at(5, 0), detail='"một, hai"\nba'),
        structs.replace(samples.path(), started_at=at(6, 0)),
        samples.availability(started_at=at(7, 0)),
    ]
    every += [samples.latency(started_at=at(8, hour), rtt_ms=5 + hour / 3) for hour in range(24)]
    return [structs.replace(one, operator=operator) for one in every]


def fill(store: Store) -> None:
    for seq, result in enumerate(results(), 1):
        topic = f"tramdo/v1/{samples.TENANT}/{samples.PROBE}/m/{result.kind}"
        message = validate(topic, samples.envelope([(seq, result)]), NOW)
        assert isinstance(message, ResultsMessage), message
        store.store_batch([message], NOW)
    registry = parse_toml(seeded_centre.REGISTRY.encode(), "registry.toml", official())
    store.registry.apply(registry, "test", "test", NOW)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    with closing(SqliteStore(tmp_path / "results.sqlite")) as opened:
        fill(opened)
        yield opened


def publish(store: Store, root: Path) -> Path:
    key = load_or_create(root / "open-data.key")
    lines = known_lines(store.registry.read(), store.probes())
    return MonthPublisher(store, lines, key, root / "open", "0.2.0").publish(OCTOBER, NOW).path


def descriptor(month: Path) -> dict[str, Any]:
    return dict(json.loads((month / "datapackage.json").read_text()))


def rows(path: Path) -> list[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_month_has_its_results_and_nothing_private(store: SqliteStore, tmp_path: Path) -> None:
    month = publish(store, tmp_path)
    assert {path.name for path in month.iterdir() if path.is_dir()} == {
        "throughput", "latency", "dns", "web", "availability", "schema",
    }  # fmt: skip
    latency = rows(month / "latency" / "19.csv.gz")
    # To the last hour of the local month, not beyond.
    assert len(latency) == 26
    assert {row["started_at"] for row in latency} >= {"2026-10-31T16:00:00.000000Z"}
    assert "2026-10-31T17:00:00.000000Z" not in {row["started_at"] for row in latency}
    assert {row["line"] for row in latency} == {row["line"] for row in rows(month / "lines.csv.gz")}
    assert latency[0]["commune_code"] == "01969"
    assert latency[0]["nat"] == "carrier_grade"
    assert latency[0]["signature"] == "unsigned"
    assert [row["in_figures"] for row in latency[:2]] == ["false", "true"]
    assert latency[0]["target"].startswith("icmp:")
    throughput = rows(month / "throughput" / "19.csv.gz")
    assert [row["in_figures"] for row in throughput] == ["true", "false", "false"]
    assert throughput[1]["validity"] == "cross_traffic"
    for path in month.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            text = gzip.decompress(content) if path.suffix == ".gz" else content
            found = [word for word in PRIVATE if word.encode() in text]
            # The commune's own name is public.
            assert found in ([], ["Phủ Thông"] if path.name == "lines.csv.gz" else []), path


def test_every_public_column_is_described_in_both_languages() -> None:
    tables = dictionary()["tables"]
    assert set(tables) == {*PUBLIC_KINDS, "lines"}
    for kind in PUBLIC_KINDS:
        fields = {field["name"]: field for field in tables[kind]["schema"]["fields"]}
        assert list(fields) == [column.name for column in columns(kind)]
        assert all(field["description"] != field["description_vi"] for field in fields.values())
    assert len(tables["lines"]["schema"]["fields"]) == len(LINE_COLUMNS)
    latency = {field["name"]: field for field in tables["latency"]["schema"]["fields"]}
    assert latency["rtt_p50_ms"]["unit"] == "ms"
    assert latency["loss_ratio"]["unit"] == "1"
    assert "ipv6" in latency["family"]["constraints"]["enum"]


def test_openssl_and_sha256sum_check_a_month(store: SqliteStore, tmp_path: Path) -> None:
    month = publish(store, tmp_path)
    command = [
        "openssl", "dgst", "-sha256", "-verify", "../key.pem",
        "-signature", "datapackage.json.sig", "datapackage.json",
    ]  # fmt: skip
    assert subprocess.run(command, cwd=month, check=False).returncode == 0
    subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=month, check=True)
    listed = {one["path"]: one["hash"] for one in descriptor(month)["resources"]}
    lines = [line.split() for line in (month / "SHA256SUMS").read_text().splitlines()]
    summed = {path: digest for digest, path in lines}
    assert {path: f"sha256:{summed[path]}" for path in listed} == listed
    changed = (month / "datapackage.json").read_bytes().replace(b"unsigned", b"checked!")
    (month / "datapackage.json").write_bytes(changed.replace(b'"rows": 26', b'"rows": 25'))
    assert subprocess.run(command, cwd=month, check=False).returncode != 0
    assert (tmp_path / "open-data.key").stat().st_mode & 0o777 == 0o600


def test_the_same_month_is_the_same_csv(store: SqliteStore, tmp_path: Path) -> None:
    one = publish(store, tmp_path)
    one.rename(tmp_path / "before")
    other = publish(store, tmp_path)
    for path in (tmp_path / "before").rglob("*.csv.gz"):
        twin = other / path.relative_to(tmp_path / "before")
        assert twin.read_bytes() == path.read_bytes()


def _shape(path: Path) -> list[tuple[str, str]]:
    schema = pyarrow.parquet.read_schema(path)
    return [(name, str(kind)) for name, kind in zip(schema.names, schema.types, strict=True)]


def test_everybody_reads_the_parquet_and_the_csv_alike(store: SqliteStore, tmp_path: Path) -> None:
    month = publish(store, tmp_path)
    source, target = month / "latency" / "19.csv.gz", month / "latency" / "19.parquet"
    expected = rows(source)
    rtts = [float(row["rtt_p50_ms"]) for row in expected]
    shape = dict(_shape(target))
    assert shape["started_at"] == "timestamp[us, tz=UTC]"
    assert (shape["sent"], shape["rtt_p50_ms"], shape["in_figures"]) == ("int64", "double", "bool")
    assert list(shape) == [column.name for column in columns("latency")]
    metadata = pyarrow.parquet.read_schema(target).metadata
    assert metadata[b"licence"] == b"CC-BY-4.0"

    assert duckdb.sql(f"SELECT rtt_p50_ms FROM '{target}'").fetchall() == [(one,) for one in rtts]
    by_pandas = pandas.read_parquet(target)
    assert list(by_pandas["rtt_p50_ms"]) == rtts
    assert str(by_pandas["started_at"].iloc[0]) == "2026-09-30 18:00:00+00:00"
    by_polars = polars.read_parquet(target)
    assert by_polars["rtt_p50_ms"].to_list() == rtts
    assert by_polars["commune_code"].unique().to_list() == ["01969"]
    assert by_polars["loss_ratio_upper95"].null_count() == 0

    assert list(pandas.read_csv(source, dtype={"commune_code": str})["rtt_p50_ms"]) == rtts
    assert polars.read_csv(source)["rtt_p50_ms"].to_list() == rtts


R = """
columns <- c(string = "character", integer = "numeric", number = "numeric",
             boolean = "character", datetime = "character")
types <- strsplit(commandArgs(TRUE)[2], ",")[[1]]
table <- read.csv(gzfile(commandArgs(TRUE)[1]), colClasses = unname(columns[types]),
                  na.strings = "", encoding = "UTF-8")
started <- as.POSIXct(table$started_at, format = "%Y-%m-%dT%H:%M:%OSZ", tz = "UTC")
cat(nrow(table), sprintf("%.6f", sum(table$rtt_p50_ms)), table$commune_code[1],
    format(min(started), "%Y-%m-%d %H:%M"), sum(table$in_figures == "true"), "\\n")
"""


def test_r_reads_the_csv_by_the_types_of_its_schema(store: SqliteStore, tmp_path: Path) -> None:
    month = publish(store, tmp_path)
    source = month / "latency" / "19.csv.gz"
    schema = json.loads((month / "schema" / "latency.json").read_text())
    types = ",".join(field["type"] for field in schema["fields"])
    (tmp_path / "read.R").write_text(R)
    done = subprocess.run(
        ["Rscript", "--vanilla", str(tmp_path / "read.R"), str(source), types],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    expected = rows(source)
    total = sum(float(row["rtt_p50_ms"]) for row in expected)
    assert done.stdout.split() == ["26", f"{total:.6f}", "01969", "2026-09-30", "18:00", "25"]


def configured(path: Path) -> Path:
    """A configuration with a store and open data in this folder."""
    config = path / "collector.toml"
    config.write_text(
        f'[broker]\nhost = "127.0.0.1"\n[store]\npath = "{path}/results.sqlite"\nraw_days = 0\n'
        f'[open_data]\npath = "{path}/open"\nkey_file = "{path}/open-data.key"\n'
    )
    return config


@pytest.mark.usefixtures("store")
def test_without_the_extra_a_month_is_csv_and_says_so(tmp_path: Path) -> None:
    arguments = ["open-data", "--month", "2026-10", "--config", str(configured(tmp_path))]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, "duckdb", "collector.__main__:main", "x", *arguments],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    assert "CSV only: for Parquet, `pip install 'tramdo[parquet]'`" in done.stdout
    month = tmp_path / "open" / "2026-10"
    assert descriptor(month)["parquet"] is False
    assert {one["format"] for one in descriptor(month)["resources"]} == {"csv"}


@pytest.mark.usefixtures("store")
def test_the_command_publishes_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = configured(tmp_path)

    def command(*options: str) -> int:
        return main(["open-data", *options, "--config", str(config)])

    assert command("--month", "2026-10") == 0
    out = capsys.readouterr().out
    assert "32 results in 11 files" in out
    assert "signed by" in out
    assert command("--month", "2026-10") == 0
    assert "2026-10 is published and stays as it is" in capsys.readouterr().out
    assert command("--month", "2026-W40") == 2
    assert command("--month", "2999-01") == 2
    config.write_text(config.read_text().replace("raw_days = 0", "raw_days = 1"))
    assert command("--month", "2026-01") == 2
    assert "not kept any more" in capsys.readouterr().err
    (tmp_path / "open-data.key").chmod(0o644)
    config.write_text(config.read_text().replace("raw_days = 1", "raw_days = 0"))
    assert command("--month", "2026-09") == 1
    assert "others may read it" in capsys.readouterr().err


@pytest.fixture
def port(store: SqliteStore, tmp_path: Path) -> Iterator[int]:
    """A centre's pages over a published month."""
    publish(store, tmp_path)
    web = Web(
        ReadModel(store, thresholds_file.read()),
        ChangeSignal(),
        IngestStatus,
        "Asia/Ho_Chi_Minh",
        UserStore(tmp_path / "people.sqlite"),
        open_data=tmp_path / "open",
    )
    port = free_port()
    server = WebServer(web.application(), "127.0.0.1", port)
    server.start()
    yield port
    server.stop()


def ask(port: int, path: str, **headers: str) -> tuple[HTTPResponse, bytes]:
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    with closing(connection):
        connection.request("GET", path, headers={"Accept-Encoding": "gzip", **headers})
        answer = connection.getresponse()
        content = answer.read()
        if answer.headers["Content-Encoding"] == "gzip":
            content = gzip.decompress(content)
        return answer, content


def test_a_month_has_a_stable_address(port: int, tmp_path: Path) -> None:
    month = tmp_path / "open" / "2026-10"
    _, listed = ask(port, "/open/months.json")
    (one,) = json.loads(listed)["months"]
    assert one["description"] == "/open/months/2026-10/datapackage.json"
    assert (one["month"], one["results"], one["parquet"]) == ("2026-10", 32, True)
    answer, content = ask(port, one["description"])
    assert content == (month / "datapackage.json").read_bytes()
    assert hashlib.sha256(content).hexdigest() == one["sha256"]
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    for resource in json.loads(content)["resources"]:
        answer, content = ask(port, f"/open/months/2026-10/{resource['path']}")
        # As it is on the disk, so that its digest holds and parts of it can be asked for.
        assert answer.headers["Content-Encoding"] is None
        assert f"sha256:{hashlib.sha256(content).hexdigest()}" == resource["hash"]
    answer, content = ask(port, "/open/months/2026-10/latency/19.parquet", Range="bytes=0-3")
    assert (answer.status, content) == (206, b"PAR1")
    assert ask(port, "/open/months/key.pem")[1].startswith(b"-----BEGIN PUBLIC KEY-----")
    assert set(json.loads(ask(port, "/open/dictionary.json")[1])["tables"]) >= {"latency", "lines"}


@pytest.mark.parametrize(
    "path",
    [
        "../open-data.key", "%2e%2e/open-data.key", "2026-10/../../open-data.key", "2026-10",
        "2026-10/", ".2026-10.partial/datapackage.json", "2026-10/lines.csv", "2026-10//etc/passwd",
        "2026-11/datapackage.json", "%2fetc%2fpasswd",
    ],
)  # fmt: skip
def test_nothing_else_is_served(port: int, path: str) -> None:
    answer, content = ask(port, f"/open/months/{path}")
    assert answer.status == 404
    assert b"PRIVATE" not in content


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("vi", ("Các tháng đã công bố", "10/2026", "RTT trung vị; gói mất là vô cùng lớn")),
        ("en", ("Published months", "10/2026", "Median RTT; a lost packet is +infinity")),
    ],
)
def test_the_page_has_months_and_dictionary(
    port: int, language: str, words: tuple[str, str, str]
) -> None:
    heading, month, column = words
    plain = {"Accept-Encoding": "identity"}
    answer, content = ask(port, f"/open?lang={language}", **plain)
    assert answer.status == 200
    page = content.decode()
    assert heading in page
    assert month in page
    assert column not in page, "the columns of one kind are read at a time"
    link = "/open?kind=latency#dictionary"
    assert link in page
    answer, content = ask(port, f"/open?kind=latency&lang={language}", **plain)
    assert answer.status == 200
    assert column in content.decode()
