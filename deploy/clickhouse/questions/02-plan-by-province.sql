-- In which provinces do lines reach what was declared for them?
SELECT
    l.province_name AS province,
    uniqExact(tenant, probe, line) AS lines,
    count() AS tests,
    avg(download_whole_bps / l.plan_down_bps) AS download_of_plan,
    avg(upload_whole_bps / l.plan_up_bps) AS upload_of_plan
FROM throughput
INNER JOIN (SELECT * FROM lines FINAL) AS l USING (tenant, probe, line)
WHERE outcome = 'ok' AND l.plan_down_bps > 0 AND l.plan_up_bps > 0
    AND started_at >= {begins:DateTime64(6, 'UTC')} AND started_at < {ends:DateTime64(6, 'UTC')}
GROUP BY province
ORDER BY province
