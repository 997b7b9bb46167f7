-- How do the ISPs' own resolvers do beside the public ones?
SELECT
    l.isp AS isp,
    role,
    sum(sent) AS queries,
    sum(sent) - sum(answered) AS failed,
    failed / nullIf(queries, 0) AS failure_ratio,
    quantileExactInclusive(0.5)(rtt_p50_ms) AS rtt_median_ms
FROM dns
INNER JOIN (SELECT * FROM lines FINAL) AS l USING (tenant, probe, line)
WHERE outcome = 'ok' AND started_at >= {begins:DateTime64(6, 'UTC')} AND started_at < {ends:DateTime64(6, 'UTC')}
GROUP BY isp, role
ORDER BY isp, role
