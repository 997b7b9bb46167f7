-- Which speed do the lines of each ISP reach, and how often is it 80 % of the declared one?
-- Whole transfers, as QCVN 34:2022/BTTTT counts them; results that their flags keep out of
-- means are left out.
SELECT
    l.isp AS isp,
    count() AS tests,
    uniqExact(tenant, probe, line) AS lines,
    quantileExactInclusive(0.5)(download_whole_bps) AS download_median_bps,
    quantileExactInclusive(0.05)(download_whole_bps) AS download_p5_bps,
    quantileExactInclusive(0.5)(upload_whole_bps) AS upload_median_bps,
    countIf(l.plan_down_bps IS NOT NULL) AS tests_with_a_plan,
    countIf(download_whole_bps >= 0.8 * l.plan_down_bps) AS tests_at_80_percent
FROM throughput
INNER JOIN (SELECT * FROM lines FINAL) AS l USING (tenant, probe, line)
WHERE outcome = 'ok'
    AND NOT hasAny(validity, [
        'clock_stepped', 'cross_traffic', 'early_stopped', 'interface_mismatch',
        'link_below_plan', 'own_lan', 'probe_limited', 'server_contention', 'server_low',
        'short', 'signature_mismatch', 'throttled', 'time_ancient', 'time_in_future'
    ])
    AND started_at >= {begins:DateTime64(6, 'UTC')} AND started_at < {ends:DateTime64(6, 'UTC')}
GROUP BY isp
ORDER BY isp
