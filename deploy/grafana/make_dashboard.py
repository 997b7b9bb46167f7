"""Floor 3. Writes tramdo.json, the dashboard: `python -m deploy.grafana.make_dashboard`.

A dashboard is hundreds of lines of JSON of which the queries are what matters; they stand alone
here. Roll-ups answer for all lines, the tables of kinds for one line.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("tramdo.json")
SOURCE = {"type": "postgres", "uid": "tramdo"}

# Lines of the chosen communes, with their plans; `rollup_*` bear `line_id`. The official list of
# communes is the program's: the database names those alone that the registry's file adds.
_CHOSEN = """
FROM {table} r
JOIN lines l USING (line_id)
JOIN registry_probes p ON (p.tenant, p.probe) = (l.tenant, l.probe)
LEFT JOIN registry_communes c ON c.code = p.commune
LEFT JOIN registry_lines g ON (g.tenant, g.probe, g.line) = (l.tenant, l.probe, l.line)
LEFT JOIN registry_isps i ON i.id = g.isp
WHERE r.start_s >= extract(epoch FROM $__timeFrom()::timestamptz)
  AND r.start_s < extract(epoch FROM $__timeTo()::timestamptz)
  AND p.commune IN ($commune)"""


# The names that there are: an official commune has none in the database, and its office is known;
# a line that the registry lacks has its own name, and is not joined with the others like it.
_PLACE = "coalesce(c.name, p.office)"
_ISP = "coalesce(i.name, g.isp, l.line)"


def _mean(metric: str) -> str:
    return f"sum(r.{metric}_sum) / nullif(sum(r.{metric}_count), 0)"


QUERIES = {
    "lines": f"""SELECT {_PLACE} AS "Cơ quan, xã", p.commune AS "Mã xã",
  l.tenant || '/' || l.probe AS "Trạm đo", l.line AS "Đường truyền",
  {_ISP} AS "Doanh nghiệp", g.plan_down_bps AS "Công bố",
  {_mean("throughput_download_whole_bps")} AS "Tải xuống",
  {_mean("throughput_upload_whole_bps")} AS "Tải lên",
  {_mean("latency_rtt_mean_ms")} AS "Độ trễ",
  sum(r.latency_lost) / nullif(sum(r.latency_sent), 0) AS "Mất gói",
  sum(r.availability_up_minutes)
    / nullif(sum(r.availability_up_minutes) + sum(r.availability_down_minutes), 0) AS "Khả dụng",
  sum(r.throughput_valid) AS "Hợp lệ", sum(r.throughput_ok) + sum(r.throughput_failed) AS "Đã đo"
{_CHOSEN.format(table="rollup_day")}
GROUP BY 1, 2, 3, 4, 5, g.plan_down_bps
ORDER BY 1, 3, 4""",
    "download": f"""SELECT to_timestamp(r.start_s) AS "time",
  {_ISP} || ' ' || {_PLACE} AS metric,
  {_mean("throughput_download_whole_bps")} AS value
{_CHOSEN.format(table="rollup_day")}
GROUP BY 1, 2 HAVING sum(r.throughput_download_whole_bps_count) > 0
ORDER BY 1""",
    "share": f"""SELECT to_timestamp(r.start_s) AS "time", {_ISP} AS metric,
  sum(r.throughput_download_whole_bps_sum)
    / nullif(sum(r.throughput_download_whole_bps_count * g.plan_down_bps), 0) AS value
{_CHOSEN.format(table="rollup_day")}
  AND g.plan_down_bps IS NOT NULL
GROUP BY 1, 2 HAVING sum(r.throughput_download_whole_bps_count) > 0
ORDER BY 1""",
    "samples": f"""SELECT to_timestamp(r.start_s) AS "time", {_PLACE} AS metric,
  coalesce(sum(r.throughput_ok), 0) + coalesce(sum(r.http_ok), 0) AS value
{_CHOSEN.format(table="rollup_day")}
GROUP BY 1, 2
ORDER BY 1""",
    "line_speed": """SELECT started_at AS "time", coalesce('IPv' || family, 'không rõ') AS metric,
  download_bps AS "Tải xuống", upload_bps AS "Tải lên"
FROM throughput_results
WHERE $__timeFilter(started_at) AND outcome = 'ok'
  AND tenant || '/' || probe || '/' || line = '$line'
ORDER BY 1""",
    "line_rtt": """SELECT $__timeGroup(started_at, $__interval) AS "time",
  target || coalesce(' IPv' || family, '') AS metric,
  percentile_disc(0.5) WITHIN GROUP (ORDER BY rtt_p50_ms) AS value
FROM latency_results
WHERE $__timeFilter(started_at) AND tenant || '/' || probe || '/' || line = '$line'
GROUP BY 1, 2
ORDER BY 1""",
    "line_failures": """SELECT started_at AS "time", kind, outcome, reason, target
FROM results
WHERE $__timeFilter(started_at) AND outcome <> 'ok'
  AND tenant || '/' || probe || '/' || line = '$line'
ORDER BY started_at DESC LIMIT 200""",
    "last_contact": """SELECT p.tenant || '/' || p.probe AS "Trạm đo", r.office AS "Cơ quan",
  p.presence AS "Trạng thái", p.last_contact_at AS "Tin cuối"
FROM probes p LEFT JOIN registry_probes r USING (tenant, probe)
ORDER BY p.last_contact_at NULLS FIRST LIMIT 500""",
}
VARIABLES = {
    "commune": """SELECT p.commune || ' ' || coalesce(max(c.name), min(p.office)) AS __text,
  p.commune AS __value
FROM registry_probes p LEFT JOIN registry_communes c ON c.code = p.commune
GROUP BY p.commune ORDER BY 1""",
    "line": """SELECT DISTINCT l.tenant || '/' || l.probe || '/' || l.line
FROM lines l JOIN registry_probes p USING (tenant, probe)
WHERE p.commune IN ($commune) ORDER BY 1""",
}


def dashboard() -> dict[str, Any]:
    """The dashboard, schema 39 (Grafana 10.4 and newer)."""
    panels = [
        _panel(1, "Các đường truyền", "table", "lines", (0, 0, 24, 9), overrides=_TABLE_UNITS),
        _panel(2, "Tải xuống trung bình mỗi ngày", "timeseries", "download", (0, 9, 12, 8), "bps"),
        _panel(3, "Tải xuống so với tốc độ công bố", "timeseries", "share", (12, 9, 12, 8),
               "percentunit", line_at=0.8),
        _panel(4, "Số lần đo mỗi ngày", "timeseries", "samples", (0, 17, 12, 7)),
        _panel(5, "Tin cuối của trạm đo", "table", "last_contact", (12, 17, 12, 7)),
        _panel(6, "Tốc độ: $line", "timeseries", "line_speed", (0, 24, 12, 8), "bps"),
        _panel(7, "Độ trễ trung vị: $line", "timeseries", "line_rtt", (12, 24, 12, 8), "ms"),
        _panel(8, "Lần đo không thành công: $line", "table", "line_failures", (0, 32, 24, 7)),
    ]  # fmt: skip
    return {
        "uid": "tramdo",
        "title": "Tramdo: chất lượng Internet (so sánh tham khảo)",
        "tags": ["tramdo"],
        "timezone": "Asia/Ho_Chi_Minh",
        "schemaVersion": 39,
        "version": 1,
        "editable": False,
        "refresh": "5m",
        "time": {"from": "now-30d", "to": "now"},
        "templating": {
            "list": [
                _variable("commune", "Xã, phường", several=True),
                _variable("line", "Đường truyền", several=False),
            ]
        },
        "panels": panels,
    }


_TABLE_UNITS = {
    "Công bố": "bps", "Tải xuống": "bps", "Tải lên": "bps", "Độ trễ": "ms",
    "Mất gói": "percentunit", "Khả dụng": "percentunit",
}  # fmt: skip


def _panel(
    number: int,
    title: str,
    kind: str,
    query: str,
    place: tuple[int, int, int, int],
    unit: str = "short",
    *,
    line_at: float | None = None,
    overrides: dict[str, str] | None = None,
) -> dict[str, Any]:
    x, y, width, height = place
    defaults: dict[str, Any] = {"unit": unit}
    if line_at is not None:
        defaults["thresholds"] = {
            "mode": "absolute",
            "steps": [{"color": "red", "value": None}, {"color": "green", "value": line_at}],
        }
        defaults["custom"] = {"thresholdsStyle": {"mode": "line"}}
    return {
        "id": number,
        "title": title,
        "type": kind,
        "datasource": SOURCE,
        "gridPos": {"x": x, "y": y, "w": width, "h": height},
        "fieldConfig": {
            "defaults": defaults,
            "overrides": [
                {
                    "matcher": {"id": "byName", "options": name},
                    "properties": [{"id": "unit", "value": of}],
                }
                for name, of in (overrides or {}).items()
            ],
        },
        "targets": [
            {
                "refId": "A",
                "datasource": SOURCE,
                "format": "table" if kind == "table" else "time_series",
                "rawQuery": True,
                "editorMode": "code",
                "rawSql": QUERIES[query],
            }
        ],
    }


def _variable(name: str, label: str, *, several: bool) -> dict[str, Any]:
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": SOURCE,
        "query": VARIABLES[name],
        "refresh": 1,
        "multi": several,
        "includeAll": several,
        "sort": 0,
    }


def text() -> str:
    """The file's content."""
    return json.dumps(dashboard(), ensure_ascii=False, indent=2) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
