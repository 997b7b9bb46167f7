-- How available were the lines, by province? Of the minutes of which something is known.
SELECT
    l.province_name AS province,
    uniqExact(tenant, probe, line) AS lines,
    sum(up_minutes) AS up,
    sum(down_minutes) AS down,
    sum(unknown_minutes) AS unknown,
    up / nullIf(up + down, 0) AS availability
FROM availability
INNER JOIN (SELECT * FROM lines FINAL) AS l USING (tenant, probe, line)
WHERE outcome = 'ok' AND started_at >= {begins:DateTime64(6, 'UTC')} AND started_at < {ends:DateTime64(6, 'UTC')}
GROUP BY province
ORDER BY province
