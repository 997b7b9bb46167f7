-- Is IPv6 as good as IPv4, by ISP? Round-trip times to measurement servers.
SELECT
    l.isp AS isp,
    family,
    uniqExact(tenant, probe, line) AS lines,
    sum(sent) AS packets,
    sum(lost) AS packets_lost,
    quantileExactInclusive(0.5)(rtt_p50_ms) AS rtt_median_ms
FROM latency
INNER JOIN (SELECT * FROM lines FINAL) AS l USING (tenant, probe, line)
WHERE outcome = 'ok' AND family IS NOT NULL AND target LIKE 'stamp:%'
    AND started_at >= {begins:DateTime64(6, 'UTC')} AND started_at < {ends:DateTime64(6, 'UTC')}
GROUP BY isp, family
ORDER BY isp, family
