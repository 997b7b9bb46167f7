-- What failed or was skipped, of which kind, and why?
SELECT kind, outcome, reason, count() AS results
FROM
(
    SELECT 'throughput' AS kind, outcome, reason FROM throughput WHERE started_at >= {begins:DateTime64(6, 'UTC')} AND started_at < {ends:DateTime64(6, 'UTC')}
    UNION ALL
    SELECT 'latency' AS kind, outcome, reason FROM latency WHERE started_at >= {begins:DateTime64(6, 'UTC')} AND started_at < {ends:DateTime64(6, 'UTC')}
    UNION ALL
    SELECT 'http' AS kind, outcome, reason FROM http WHERE started_at >= {begins:DateTime64(6, 'UTC')} AND started_at < {ends:DateTime64(6, 'UTC')}
    UNION ALL
    SELECT 'dns' AS kind, outcome, reason FROM dns WHERE started_at >= {begins:DateTime64(6, 'UTC')} AND started_at < {ends:DateTime64(6, 'UTC')}
    UNION ALL
    SELECT 'web' AS kind, outcome, reason FROM web WHERE started_at >= {begins:DateTime64(6, 'UTC')} AND started_at < {ends:DateTime64(6, 'UTC')}
    UNION ALL
    SELECT 'path' AS kind, outcome, reason FROM path WHERE started_at >= {begins:DateTime64(6, 'UTC')} AND started_at < {ends:DateTime64(6, 'UTC')}
)
GROUP BY kind, outcome, reason
ORDER BY kind, outcome, reason NULLS FIRST
