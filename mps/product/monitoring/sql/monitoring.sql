-- Incidents are the platform's: no member's or merchant's data. Found, told and closed by jobs and
-- staff.
GRANT SELECT, INSERT ON monitoring_incident TO platform_admin;
GRANT UPDATE (
    last_seen_at, closed_at, details, told, claimed_until, notified_at, resolution_notified_at)
    ON monitoring_incident TO platform_admin;
GRANT SELECT ON monitoring_progress TO platform_admin;
GRANT UPDATE (reconciled_to, next_slice) ON monitoring_progress TO platform_admin;
GRANT SELECT ON monitoring_counter TO platform_admin;

-- What happened in [p_from, p_to), by index: every charge leaves one audit event, every code asked
-- for one.
-- A code that ran out unused is where it was, or in the history since its successor was made. Codes
-- of 300 s on shared cards are the rotation's: nobody asked for them.
CREATE OR REPLACE FUNCTION monitoring_count(p_from timestamptz, p_to timestamptz)
RETURNS TABLE (metric text, label text, total bigint)
LANGUAGE sql STABLE SET search_path = public, pg_catalog AS $$
    WITH charge AS (
        SELECT CASE action WHEN 'PAYMENT_COMPLETED' THEN 'completed'
                           ELSE coalesce(context ->> 'error', 'UNKNOWN') END AS outcome,
               object_type = 'transaction' AS burnt
        FROM audit_event
        WHERE action IN ('PAYMENT_COMPLETED', 'PAYMENT_FAILED')
          AND id >= core_uuid_floor(p_from) AND id < core_uuid_floor(p_to)
    ), expired AS (
        SELECT card_id, issued_at, expires_at FROM cards_paymentcode
        WHERE expires_at >= p_from AND expires_at < p_to AND ended_at IS NULL
        UNION ALL
        SELECT card_id, issued_at, expires_at FROM cards_codehistory
        WHERE id >= core_uuid_floor(p_from) AND outcome = 'expired' AND expires_at >= p_from
          AND expires_at < p_to
    )
    SELECT 'charges', outcome, count(*) FROM charge GROUP BY outcome
    UNION ALL
    SELECT 'codes_used', '', count(*) FROM charge WHERE burnt
    UNION ALL
    SELECT 'codes_issued', '', count(*) FROM audit_event
    WHERE action = 'CODE_ISSUED' AND id >= core_uuid_floor(p_from) AND id < core_uuid_floor(p_to)
    UNION ALL
    SELECT 'codes_expired', '', count(*) FROM expired e
    WHERE e.expires_at - e.issued_at > interval '300 s'
       OR NOT EXISTS (SELECT FROM cards_card c
                      WHERE c.id = e.card_id AND c.card_type IN ('PPD', 'COR'))
$$;
GRANT EXECUTE ON FUNCTION monitoring_count(timestamptz, timestamptz) TO platform_admin;

-- Add what happened since to the counters. What is younger than two minutes waits: its database
-- transactions may still commit, statements of the web's login end after 30 s.
CREATE OR REPLACE FUNCTION monitoring_advance() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_catalog AS $$
DECLARE
    since timestamptz;
    upto timestamptz := date_trunc('milliseconds', core_now() - interval '2 minutes');
BEGIN
    SELECT counted_to INTO since FROM monitoring_progress FOR UPDATE;
    IF upto <= since THEN RETURN; END IF;
    INSERT INTO monitoring_counter AS c (metric, label, total)
    SELECT n.metric, left(n.label, 60), n.total FROM monitoring_count(since, upto) n
    ON CONFLICT (metric, label) DO UPDATE SET total = c.total + excluded.total;
    UPDATE monitoring_progress SET counted_to = upto;
END $$;
GRANT EXECUTE ON FUNCTION monitoring_advance() TO platform_admin;

-- The counters as of now: what was added up, and the little since. They never go back.
CREATE OR REPLACE FUNCTION monitoring_totals() RETURNS TABLE (metric text, label text, total bigint)
LANGUAGE sql STABLE SET search_path = public, pg_catalog AS $$
    SELECT metric, label, sum(total)::bigint FROM (
        SELECT metric, label, total FROM monitoring_counter
        UNION ALL
        SELECT n.metric, n.label, n.total
        FROM monitoring_progress, monitoring_count(counted_to, core_now() + interval '1 second') n
    ) AS counted GROUP BY metric, label
$$;
GRANT EXECUTE ON FUNCTION monitoring_totals() TO platform_admin;

-- Since when shops should have been settled, and how many wait: the oldest unclaimed transaction of
-- each shop, by the rules of its mode. What a settlement that was made or failed has left behind
-- belongs to the shop's next period. Nobody was late before there was anybody to settle: what came
-- with the installation is due since then.
CREATE OR REPLACE FUNCTION monitoring_settlement_due()
RETURNS TABLE (due_since timestamptz, shops bigint)
LANGUAGE sql STABLE SET search_path = public, pg_catalog AS $$
    SELECT min(greatest(due_at, (SELECT began_at FROM monitoring_progress))), count(*) FROM (
        SELECT CASE m.settlement_mode
                   WHEN 'realtime' THEN belongs_at
                   WHEN 't_plus_1' THEN (date_trunc('day', belongs_at AT TIME ZONE m.time_zone)
                                         + interval '1 day 10 minutes') AT TIME ZONE m.time_zone
                   ELSE (date_trunc('month', belongs_at AT TIME ZONE m.time_zone)
                         + interval '1 month 10 minutes') AT TIME ZONE m.time_zone
               END AS due_at
        FROM merchants_merchant m
        CROSS JOIN LATERAL (
            SELECT u.created_at FROM payments_unclaimed u WHERE u.merchant_id = m.id
            ORDER BY u.tx_id LIMIT 1
        ) AS oldest
        LEFT JOIN LATERAL (
            SELECT s.period_end FROM settlements_settlement s
            WHERE s.merchant_id = m.id AND s.mode = m.settlement_mode ORDER BY s.period_start DESC
            LIMIT 1
        ) AS last ON true
        CROSS JOIN LATERAL (
            SELECT greatest(oldest.created_at, last.period_end) AS belongs_at) AS shop
    ) AS waiting
    WHERE due_at <= core_now()
$$;
GRANT EXECUTE ON FUNCTION monitoring_settlement_due() TO platform_admin;
