"""Floor 2. The questions of docs/analytics.md, and the same ones in PostgreSQL's SQL."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from collector.registry.registry import Registry
from collector.rollup.metrics import invalidating
from tests.clickhouse import Server

ROOT = Path(__file__).parents[1]
QUESTIONS = {file.stem: file.read_text(encoding="utf-8") for file in
             sorted((ROOT / "deploy" / "clickhouse" / "questions").glob("*.sql"))}  # fmt: skip
_WHEN = "started_at >= BEGINS AND started_at < ENDS"
_OK = f"outcome = 'ok' AND {_WHEN}"
_L = "JOIN known AS l USING (tenant, probe, line)"
_FLAGS = ", ".join(f"'{flag}'" for flag in sorted(invalidating("throughput")))
# As PostgreSQL answers them; `known` is the registry with the official list of places.
_IN_POSTGRESQL = {
    "01-speed-by-isp": f"""
SELECT l.isp, count(*), count(DISTINCT (tenant, probe, line)),
  percentile_cont(0.5) WITHIN GROUP (ORDER BY download_whole_bps),
  percentile_cont(0.05) WITHIN GROUP (ORDER BY download_whole_bps),
  percentile_cont(0.5) WITHIN GROUP (ORDER BY upload_whole_bps),
  count(l.down), count(*) FILTER (WHERE download_whole_bps >= 0.8 * l.down)
FROM throughput_results {_L} WHERE {_OK}
  AND NOT string_to_array(validity, ' ') && ARRAY[{_FLAGS}]
GROUP BY 1 ORDER BY 1""",
    "02-plan-by-province": f"""
SELECT l.province, count(DISTINCT (tenant, probe, line)), count(*),
  avg(download_whole_bps / l.down), avg(upload_whole_bps / l.up)
FROM throughput_results {_L} WHERE {_OK} AND l.down > 0 AND l.up > 0 GROUP BY 1 ORDER BY 1""",
    "03-speed-by-hour": f"""
SELECT l.isp, extract(hour FROM started_at AT TIME ZONE 'Asia/Ho_Chi_Minh')::int AS hour, count(*),
  percentile_cont(0.5) WITHIN GROUP (ORDER BY download_whole_bps)
FROM throughput_results {_L} WHERE {_OK} GROUP BY 1, 2 ORDER BY 1, 2""",
    "04-families": f"""
SELECT l.isp, 'ipv' || family, count(DISTINCT (tenant, probe, line)), sum(sent), sum(lost),
  percentile_cont(0.5) WITHIN GROUP (ORDER BY rtt_p50_ms)
FROM latency_results {_L} WHERE {_OK} AND family IS NOT NULL AND target LIKE 'stamp:%%'
GROUP BY 1, 2 ORDER BY 1, 2""",
    "05-loaded-latency": f"""
SELECT isp, tests, idle, down, up, down / idle FROM (
  SELECT l.isp, count(rtt_loaded_download_p50_ms) AS tests,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY rtt_loaded_download_p50_ms) AS down,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY rtt_loaded_upload_p50_ms) AS up
  FROM throughput_results {_L} WHERE {_OK} GROUP BY 1) AS loaded
JOIN (SELECT l.isp, percentile_cont(0.5) WITHIN GROUP (ORDER BY rtt_p50_ms) AS idle
  FROM latency_results {_L} WHERE {_OK} AND target LIKE 'stamp:%%' GROUP BY 1) AS idle USING (isp)
ORDER BY 1""",
    # Percentiles over packets: lists are not in SQL there (`test_percentiles_over_all_packets`).
    "06-every-packet": f"""
SELECT l.isp, sum(rtt_samples), sum(lost)
FROM latency_results {_L} WHERE {_OK} AND target LIKE 'stamp:%%' AND rtt_samples > 0
GROUP BY 1 ORDER BY 1""",
    "07-outages": f"""
SELECT l.isp, fault, count(*), count(DISTINCT (tenant, probe, line)), sum(down_minutes),
  max(down_minutes)
FROM outage_results {_L} WHERE {_OK} GROUP BY 1, 2 ORDER BY 1, 2""",
    "08-availability-by-province": f"""
SELECT l.province, count(DISTINCT (tenant, probe, line)), sum(up_minutes), sum(down_minutes),
  sum(unknown_minutes), sum(up_minutes) / nullif(sum(up_minutes) + sum(down_minutes), 0)
FROM availability_results {_L} WHERE {_OK} GROUP BY 1 ORDER BY 1""",
    "09-failures": f"""
SELECT kind, outcome, reason, count(*) FROM results WHERE {_WHEN}
  AND kind IN ('throughput', 'latency', 'http', 'dns', 'web', 'path')
GROUP BY 1, 2, 3 ORDER BY 1, CASE outcome WHEN 'ok' THEN 1 WHEN 'failed' THEN 2 ELSE 3 END,
  reason COLLATE "C" NULLS FIRST""",
    "10-resolvers": f"""
SELECT l.isp, role, sum(sent), sum(sent) - sum(answered),
  (sum(sent) - sum(answered)) / nullif(sum(sent), 0),
  percentile_cont(0.5) WITHIN GROUP (ORDER BY rtt_p50_ms)
FROM dns_results {_L} WHERE {_OK} GROUP BY 1, 2 ORDER BY 1, 2""",
}
NAMES = list(_IN_POSTGRESQL)


def in_clickhouse(engine: Server, name: str, begins: datetime, ends: datetime) -> list[list[Any]]:
    """ClickHouse's answer over results that started in this time."""
    return engine.rows(QUESTIONS[name], "tramdo", begins=_time(begins), ends=_time(ends))


def in_postgresql(name: str, registry: Registry, begins: datetime, ends: datetime) -> str:
    """The question for PostgreSQL; the places are the program's, so they are in the SQL."""
    sql = _IN_POSTGRESQL[name].replace("BEGINS", f"'{_time(begins)}+00'")
    return _known(registry) + sql.replace("ENDS", f"'{_time(ends)}+00'")


def _time(at: datetime) -> str:
    return f"{at.astimezone(UTC):%F %T}"


def _known(registry: Registry) -> str:
    """The registry as a table of a query, with each place's province by the official list."""
    rows = [
        (key.tenant, key.probe, key.line, registry.isps[line.isp].name,
         registry.communes[registry.probes[key[:2]].commune].province_name,
         line.plan_down_bps, line.plan_up_bps)
        for key in registry.lines() if (line := registry.line(key)) is not None
    ]  # fmt: skip
    listed = ", ".join(
        "(" + ", ".join("NULL" if cell is None else f"'{cell}'" for cell in row) + ")"
        for row in rows
    )
    return (
        f"WITH listed(tenant, probe, line, isp, province, d, u) AS (VALUES {listed}), known AS "
        "(SELECT *, d::float8 AS down, u::float8 AS up FROM listed) "
    )
