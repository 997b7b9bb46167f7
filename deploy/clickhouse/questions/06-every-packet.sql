-- What does every single packet say: percentiles over all round-trip times, by ISP, within 1 %?
-- Of those that came back; the lost ones are counted beside them.
SELECT
    l.isp AS isp,
    sum(length(rtt_us)) AS packets,
    sum(lost) AS packets_lost,
    quantilesDDArray(0.01, 0.5, 0.95, 0.99)(rtt_us) AS rtt_us_p50_p95_p99
FROM latency
INNER JOIN (SELECT * FROM lines FINAL) AS l USING (tenant, probe, line)
WHERE outcome = 'ok' AND target LIKE 'stamp:%' AND notEmpty(rtt_us)
    AND started_at >= {begins:DateTime64(6, 'UTC')} AND started_at < {ends:DateTime64(6, 'UTC')}
GROUP BY isp
ORDER BY isp
