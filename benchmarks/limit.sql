-- The limit a charge is compared with: the same rows written by one function, with nothing checked
-- and no HTTP. Dropped with the benchmark's database.
CREATE TABLE bench_card AS
    SELECT row_number() OVER () AS n, c.id AS card_id, c.owner_id AS member_id, c.money_account_id,
           c.points_account_id, p.id AS code_id
    FROM cards_card c JOIN cards_paymentcode p ON p.card_id = c.id;
CREATE UNIQUE INDEX ON bench_card (n);
ANALYZE bench_card;

CREATE FUNCTION bench_limit(p_n bigint, p_merchant uuid, p_merchant_account uuid, p_issue uuid)
RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    card bench_card%ROWTYPE;
    payment uuid := uuidv7();
    posting uuid := uuidv7();
    money numeric;
    points numeric;
    number text := 'PAY' || lpad(nextval('payments_payment_seq')::text, 10, '0');
BEGIN
    SELECT * INTO card FROM bench_card WHERE n = p_n;
    UPDATE cards_paymentcode SET ended_at = now(), outcome = 'used' WHERE id = card.code_id;
    PERFORM set_config('mps.posting_id', posting::text, true);
    UPDATE ledger_account SET balance = balance - 10 WHERE id = card.money_account_id
    RETURNING balance INTO money;
    UPDATE ledger_account SET balance = balance + 10 WHERE id = card.points_account_id
    RETURNING balance INTO points;
    INSERT INTO ledger_posting (id, kind, reference, posted_at)
    VALUES (posting, 'payment', payment, now());
    INSERT INTO ledger_entry (posting_id, account_id, amount, balance_after) VALUES
        (posting, card.money_account_id, -10, money), (posting, p_merchant_account, 10, NULL),
        (posting, card.points_account_id, 10, points), (posting, p_issue, -10, NULL);
    INSERT INTO payments_transaction (
        id, tx_no, type, status, merchant_id, card_id, card_no, member_id, currency, amount,
        final_amount, points, payment_method, external_order_id, created_at)
    VALUES (payment, number, 'payment', 'completed', p_merchant, card.card_id, 'PPD00000001',
            card.member_id, 'TWD', 10, 10, 10, 'balance', number, now());
    INSERT INTO payments_unclaimed (
        merchant_id, tx_id, created_at, type, payment_method, amount, fee)
    VALUES (p_merchant, payment, now(), 'payment', 'balance', 10, 0);
    INSERT INTO payments_order (merchant_id, external_order_id, tx_id, amount)
    VALUES (p_merchant, number, payment, 10);
    WITH event AS (
        INSERT INTO audit_event (
            happened_at, actor_type, actor, action, object_type, object_id, context, request_id,
            address)
        VALUES (now(), 'terminal', p_merchant::text, 'PAYMENT_COMPLETED', 'transaction', number,
                jsonb_build_object('amount', '10.00', 'merchant', p_merchant, 'order', number),
                'request', '127.0.0.1')
        RETURNING id
    ) INSERT INTO audit_unsealed (event_id) SELECT id FROM event;
    INSERT INTO payments_idempotency (scope_id, key, request_hash, status, body, created_at)
    VALUES (p_merchant, number, sha256(number::bytea), 201, jsonb_build_object(
        'tx_no', number, 'status', 'completed', 'amount', '10.00', 'final_amount', '10.00',
        'points_earned', 10), now());
END $$;
