"""Floor 3. Writes tramdo-clickhouse.json: `python -m deploy.grafana.make_clickhouse_dashboard`.

A nation's raw results in ClickHouse, by ISP: what roll-ups cannot answer (percentiles over every
packet, hours of the day, latency under load). Of Grafana's ClickHouse data source
(grafana-clickhouse-datasource) it uses `$__fromTime` and `$__toTime`, which it replaces by the
times of the panel.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("tramdo-clickhouse.json")
SOURCE = {"type": "grafana-clickhouse-datasource", "uid": "tramdo-clickhouse"}
# The formats of the data source.
_TIME_SERIES, _TABLE = 0, 1
_LINES = "INNER JOIN (SELECT * FROM lines FINAL) AS l USING (tenant, probe, line)"
_WHEN = "started_at >= $__fromTime AND started_at < $__toTime AND l.isp IN (${isp:singlequote})"
_HOUR = "toStartOfHour(started_at, 'UTC') AS time"

QUERIES = {
    "packets": f"""SELECT {_HOUR}, l.isp AS isp,
  quantileDDArray(0.01, 0.95)(rtt_us) / 1000 AS rtt_p95_ms
FROM latency {_LINES}
WHERE outcome = 'ok' AND target LIKE 'stamp:%' AND notEmpty(rtt_us) AND {_WHEN}
GROUP BY time, isp ORDER BY time, isp""",
    "loss": f"""SELECT {_HOUR}, l.isp AS isp, sum(lost) / sum(sent) AS loss_ratio
FROM latency {_LINES}
WHERE outcome = 'ok' AND target LIKE 'stamp:%' AND sent > 0 AND {_WHEN}
GROUP BY time, isp ORDER BY time, isp""",
    "speed": f"""SELECT {_HOUR}, l.isp AS isp, median(download_whole_bps) AS download_bps
FROM throughput {_LINES}
WHERE outcome = 'ok' AND {_WHEN}
GROUP BY time, isp ORDER BY time, isp""",
    "hours": f"""SELECT toHour(started_at, 'Asia/Ho_Chi_Minh') AS "Giờ", l.isp AS "Doanh nghiệp",
  median(download_whole_bps) AS "Tải xuống", count() AS "Số lần đo"
FROM throughput {_LINES}
WHERE outcome = 'ok' AND {_WHEN}
GROUP BY 1, 2 ORDER BY 1, 2""",
    "loaded": f"""SELECT {_HOUR}, l.isp AS isp, median(rtt_loaded_download_p50_ms) AS loaded_ms
FROM throughput {_LINES}
WHERE outcome = 'ok' AND rtt_loaded_download_p50_ms IS NOT NULL AND {_WHEN}
GROUP BY time, isp ORDER BY time, isp""",
    "outages": f"""SELECT l.isp AS "Doanh nghiệp", fault AS "Vị trí", count() AS "Số lần",
  sum(down_minutes) AS "Số phút"
FROM outage {_LINES}
WHERE outcome = 'ok' AND {_WHEN}
GROUP BY 1, 2 ORDER BY 1, 2""",
}
ISPS = "SELECT DISTINCT isp FROM lines ORDER BY isp"


def dashboard() -> dict[str, Any]:
    """The dashboard, schema 39 (Grafana 10.4 and newer)."""
    return {
        "uid": "tramdo-clickhouse",
        "title": "Tramdo: mọi kết quả, theo doanh nghiệp (so sánh tham khảo)",
        "tags": ["tramdo"],
        "timezone": "Asia/Ho_Chi_Minh",
        "schemaVersion": 39,
        "version": 1,
        "editable": False,
        "refresh": "5m",
        "time": {"from": "now-7d", "to": "now"},
        "templating": {
            "list": [
                {
                    "name": "isp", "label": "Doanh nghiệp", "type": "query", "datasource": SOURCE,
                    "query": ISPS, "refresh": 1, "multi": True, "includeAll": True, "sort": 0,
                }
            ]
        },
        "panels": [
            _panel(1, "Tải xuống, trung vị mỗi giờ", "speed", (0, 0), "bps"),
            _panel(2, "Độ trễ p95 của mọi gói tin", "packets", (12, 0), "ms"),
            _panel(3, "Tỷ lệ mất gói", "loss", (0, 8), "percentunit"),
            _panel(4, "Độ trễ khi đường truyền đầy tải", "loaded", (12, 8), "ms"),
            _panel(5, "Tải xuống theo giờ trong ngày", "hours", (0, 16), "short", table=True),
            _panel(6, "Gián đoạn", "outages", (12, 16), "short", table=True),
        ],
    }  # fmt: skip


def _panel(
    number: int, title: str, query: str, place: tuple[int, int], unit: str, *, table: bool = False
) -> dict[str, Any]:
    x, y = place
    return {
        "id": number,
        "title": title,
        "type": "table" if table else "timeseries",
        "datasource": SOURCE,
        "gridPos": {"x": x, "y": y, "w": 12, "h": 8},
        "fieldConfig": {"defaults": {"unit": unit}, "overrides": []},
        "targets": [
            {
                "refId": "A",
                "datasource": SOURCE,
                "editorType": "sql",
                "format": _TABLE if table else _TIME_SERIES,
                "queryType": "table" if table else "timeseries",
                "rawSql": QUERIES[query],
            }
        ],
    }


def text() -> str:
    """The file's content."""
    return json.dumps(dashboard(), ensure_ascii=False, indent=2) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
