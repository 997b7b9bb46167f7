-- How many outages were there, how long, and where was the fault, by ISP?
SELECT
    l.isp AS isp,
    fault,
    count() AS outages,
    uniqExact(tenant, probe, line) AS lines,
    sum(down_minutes) AS minutes,
    max(down_minutes) AS longest_minutes
FROM outage
INNER JOIN (SELECT * FROM lines FINAL) AS l USING (tenant, probe, line)
WHERE outcome = 'ok' AND started_at >= {begins:DateTime64(6, 'UTC')} AND started_at < {ends:DateTime64(6, 'UTC')}
GROUP BY isp, fault
ORDER BY isp, fault
