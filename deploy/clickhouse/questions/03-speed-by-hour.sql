-- At which hours of the day are the lines of each ISP slower? Hours are Vietnam's.
SELECT
    l.isp AS isp,
    toHour(started_at, 'Asia/Ho_Chi_Minh') AS hour,
    count() AS tests,
    quantileExactInclusive(0.5)(download_whole_bps) AS download_median_bps
FROM throughput
INNER JOIN (SELECT * FROM lines FINAL) AS l USING (tenant, probe, line)
WHERE outcome = 'ok' AND started_at >= {begins:DateTime64(6, 'UTC')} AND started_at < {ends:DateTime64(6, 'UTC')}
GROUP BY isp, hour
ORDER BY isp, hour
