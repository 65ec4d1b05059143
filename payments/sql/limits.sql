-- What a subject paid on a day of a time zone, less refunds, by its payments. An id is made a
-- little later than the time its transaction bears, and a day may begin twice, so the ids looked at
-- reach past the day.
CREATE OR REPLACE FUNCTION payments_spent_on(p_subject uuid, p_day date, p_zone text)
RETURNS numeric
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_catalog AS $$
    WITH span AS (
        SELECT p_day::timestamp AT TIME ZONE p_zone AS start_at,
               (p_day + 1)::timestamp AT TIME ZONE p_zone AS end_at
    ), paid AS (
        SELECT t.* FROM payments_transaction t WHERE t.card_id = p_subject
        UNION ALL
        SELECT t.* FROM payments_transaction t WHERE t.merchant_id = p_subject
        UNION ALL
        SELECT t.* FROM cards_binding b
        JOIN payments_transaction t ON t.card_id = b.card_id AND t.member_id = b.member_id
        WHERE b.id = p_subject
        UNION ALL
        -- Whoever paid with a card has had a code for it.
        SELECT t.* FROM cards_paymentcode c
        JOIN payments_transaction t ON t.card_id = c.card_id AND t.member_id = c.member_id
        WHERE c.member_id = p_subject
    )
    SELECT coalesce(sum(paid.final_amount - paid.refunded_total), 0) FROM paid, span
    WHERE paid.type = 'payment' AND paid.status <> 'failed'
      AND paid.id >= core_uuid_floor(span.start_at - interval '3 hours')
      AND paid.id < core_uuid_floor(span.end_at + interval '3 hours')
      AND (paid.created_at AT TIME ZONE p_zone)::date = p_day
$$;

-- Lock what subjects have spent today, in the order of their ids, and answer whether the amount
-- fits in each limit.
-- The caller shares the subjects' facts: their limits stand still.
CREATE OR REPLACE FUNCTION payments_has_room(
    p_subjects uuid[], p_limits numeric[], p_amount numeric, p_zone text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_catalog AS $$
DECLARE
    today date := (core_now() AT TIME ZONE p_zone)::date;
    fits boolean := true;
    wanted record;
    spent_so_far numeric;
BEGIN
    FOR wanted IN
        SELECT s.id, s.per_day FROM unnest(p_subjects, p_limits) AS s (id, per_day) ORDER BY s.id
    LOOP
        SELECT s.spent INTO spent_so_far FROM payments_spending s
        WHERE s.subject_id = wanted.id AND s.day = today FOR UPDATE;
        IF NOT FOUND THEN
            -- Refunds share this lock until they have committed: each is in the sum below, or finds
            -- the row.
            PERFORM pg_advisory_xact_lock(
                hashtextextended(wanted.id::text, core_lock_space('spending')));
            INSERT INTO payments_spending (subject_id, day, spent)
            VALUES (wanted.id, today, payments_spent_on(wanted.id, today, p_zone))
            ON CONFLICT DO NOTHING;
            SELECT s.spent INTO spent_so_far FROM payments_spending s
            WHERE s.subject_id = wanted.id AND s.day = today FOR UPDATE;
            DELETE FROM payments_spending s WHERE s.subject_id = wanted.id AND s.day < today - 60;
        END IF;
        fits := fits AND spent_so_far + p_amount <= wanted.per_day;
    END LOOP;
    RETURN fits;
END $$;

-- Give the room of a refund back to the day of its payment. The caller holds the payment's row.
CREATE OR REPLACE FUNCTION payments_give_room(p_payment_id uuid, p_amount numeric, p_zone text)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_catalog AS $$
DECLARE
    subject record;
BEGIN
    FOR subject IN
        SELECT s.id, (t.created_at AT TIME ZONE p_zone)::date AS day
        FROM payments_transaction t
        LEFT JOIN cards_binding b ON b.card_id = t.card_id AND b.member_id = t.member_id
        CROSS JOIN LATERAL unnest(ARRAY[t.card_id, t.member_id, t.merchant_id, b.id]) AS s (id)
        WHERE t.id = p_payment_id AND s.id IS NOT NULL ORDER BY s.id
    LOOP
        PERFORM pg_advisory_xact_lock_shared(
            hashtextextended(subject.id::text, core_lock_space('spending')));
        -- Never below zero: another time zone may since count the payment to another day.
        UPDATE payments_spending s SET spent = greatest(s.spent - p_amount, 0)
        WHERE s.subject_id = subject.id AND s.day = subject.day;
    END LOOP;
END $$;
GRANT EXECUTE ON FUNCTION payments_give_room(uuid, numeric, text) TO merchant_api, platform_admin;

-- A changed limit counts from the payments there are; what a binding has counted goes with it.
CREATE OR REPLACE FUNCTION payments_forget_spending() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_catalog AS $$
BEGIN
    DELETE FROM payments_spending s WHERE s.subject_id = OLD.id;
    RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER payments_limit_changed AFTER UPDATE OF limit_per_day ON cards_card
    FOR EACH ROW WHEN (OLD.limit_per_day IS DISTINCT FROM NEW.limit_per_day)
    EXECUTE FUNCTION payments_forget_spending();
CREATE OR REPLACE TRIGGER payments_limit_changed AFTER UPDATE OF limit_per_day ON cards_binding
    FOR EACH ROW WHEN (OLD.limit_per_day IS DISTINCT FROM NEW.limit_per_day)
    EXECUTE FUNCTION payments_forget_spending();
CREATE OR REPLACE TRIGGER payments_binding_gone AFTER DELETE ON cards_binding
    FOR EACH ROW EXECUTE FUNCTION payments_forget_spending();
CREATE OR REPLACE TRIGGER payments_limit_changed AFTER UPDATE OF limit_per_day ON members_member
    FOR EACH ROW WHEN (OLD.limit_per_day IS DISTINCT FROM NEW.limit_per_day)
    EXECUTE FUNCTION payments_forget_spending();
CREATE OR REPLACE TRIGGER payments_limit_changed AFTER UPDATE OF limit_per_day ON merchants_merchant
    FOR EACH ROW WHEN (OLD.limit_per_day IS DISTINCT FROM NEW.limit_per_day)
    EXECUTE FUNCTION payments_forget_spending();
