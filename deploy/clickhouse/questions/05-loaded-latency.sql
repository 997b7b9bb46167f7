-- How much longer is a round trip while the line is filled (bufferbloat), by ISP?
WITH idle AS
(
    SELECT l.isp AS isp, quantileExactInclusive(0.5)(rtt_p50_ms) AS rtt_ms
    FROM latency
    INNER JOIN (SELECT * FROM lines FINAL) AS l USING (tenant, probe, line)
    WHERE outcome = 'ok' AND target LIKE 'stamp:%'
        AND started_at >= {begins:DateTime64(6, 'UTC')} AND started_at < {ends:DateTime64(6, 'UTC')}
    GROUP BY isp
)
SELECT
    l.isp AS isp,
    count(rtt_loaded_download_p50_ms) AS tests,
    any(idle.rtt_ms) AS idle_ms,
    quantileExactInclusive(0.5)(rtt_loaded_download_p50_ms) AS loaded_download_ms,
    quantileExactInclusive(0.5)(rtt_loaded_upload_p50_ms) AS loaded_upload_ms,
    loaded_download_ms / idle_ms AS times_longer
FROM throughput
INNER JOIN (SELECT * FROM lines FINAL) AS l USING (tenant, probe, line)
INNER JOIN idle ON idle.isp = l.isp
WHERE outcome = 'ok' AND started_at >= {begins:DateTime64(6, 'UTC')} AND started_at < {ends:DateTime64(6, 'UTC')}
GROUP BY isp
ORDER BY isp
