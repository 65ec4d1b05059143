CREATE OR REPLACE TRIGGER ledger_posting_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_posting
    FOR EACH STATEMENT EXECUTE FUNCTION core_refuse_change();
CREATE OR REPLACE TRIGGER ledger_entry_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_entry
    FOR EACH STATEMENT EXECUTE FUNCTION core_refuse_change();
CREATE OR REPLACE TRIGGER ledger_account_no_delete BEFORE DELETE OR TRUNCATE ON ledger_account
    FOR EACH STATEMENT EXECUTE FUNCTION core_refuse_change();

-- Entries balance, whoever writes them: per posting and unit what one statement writes sums to
-- zero.
CREATE OR REPLACE FUNCTION ledger_require_balanced() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_catalog AS $$
DECLARE
    wrong record;
BEGIN
    SELECT w.posting_id, a.unit, sum(w.amount) AS rest INTO wrong
    FROM written w LEFT JOIN ledger_account a ON a.id = w.account_id
    GROUP BY w.posting_id, a.unit HAVING sum(w.amount) <> 0 OR a.unit IS NULL LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'posting % does not balance: % %', wrong.posting_id, wrong.rest,
            coalesce(wrong.unit, 'on an unknown account') USING ERRCODE = 'MPS03';
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER ledger_entry_balanced AFTER INSERT ON ledger_entry
    REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION ledger_require_balanced();

-- A balance moves only inside ledger_post(), which names the posting it writes in mps.posting_id;
-- anybody else's UPDATE is refused, the owner's too.
CREATE OR REPLACE FUNCTION ledger_guard_account() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    IF (NEW.id, NEW.kind, NEW.unit, NEW.created_at)
       IS DISTINCT FROM (OLD.id, OLD.kind, OLD.unit, OLD.created_at)
       OR nullif(current_setting('mps.posting_id', true), '') IS NULL THEN
        RAISE EXCEPTION 'ledger_account changes only through ledger_post()' USING ERRCODE = 'MPS02';
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE TRIGGER ledger_account_guard BEFORE UPDATE ON ledger_account
    FOR EACH ROW EXECUTE FUNCTION ledger_guard_account();

-- Open an account. Accounts that keep a balance start at zero.
CREATE OR REPLACE FUNCTION ledger_open_account(p_kind text, p_unit text) RETURNS uuid
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_catalog AS $$
    INSERT INTO ledger_account (kind, unit, balance)
    VALUES (p_kind, p_unit, CASE WHEN p_kind IN ('card_money', 'card_points') THEN 0 END)
    RETURNING id
$$;

-- The platform's account of this kind and unit, opened at its first use.
CREATE OR REPLACE FUNCTION ledger_platform_account(p_kind text, p_unit text) RETURNS uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_catalog AS $$
DECLARE
    found_id uuid;
BEGIN
    IF p_kind NOT IN ('clearing', 'unclaimed', 'points_issue', 'fee', 'adjustment') THEN
        RAISE EXCEPTION 'the platform has no account of kind %', p_kind USING ERRCODE = 'MPS03';
    END IF;
    SELECT id INTO found_id FROM ledger_account
    WHERE kind = p_kind AND unit = p_unit
      -- As the partial index has it.
      AND kind IN ('clearing', 'unclaimed', 'points_issue', 'fee', 'adjustment');
    IF found_id IS NULL THEN
        INSERT INTO ledger_account (kind, unit) VALUES (p_kind, p_unit) ON CONFLICT DO NOTHING;
        SELECT id INTO found_id FROM ledger_account WHERE kind = p_kind AND unit = p_unit;
    END IF;
    RETURN found_id;
END $$;

-- Lock the accounts that keep a balance, in id order (the one lock order there is), and return
-- their balances.
CREATE OR REPLACE FUNCTION ledger_lock_accounts(p_accounts uuid[])
RETURNS TABLE (account_id uuid, balance numeric)
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_catalog AS $$
    SELECT a.id, a.balance FROM ledger_account a
    WHERE a.id = ANY (p_accounts) AND a.balance IS NOT NULL ORDER BY a.id FOR NO KEY UPDATE
$$;

-- Write one balanced posting, or refuse.
-- p_accounts[i] moves by p_amounts[i]; per unit the amounts sum to zero; an account is named once.
-- Answers one row: refused_account is NULL when posted, else the account that lacks the balance and
-- nothing was written (posting_id is NULL then). balances[i] is the balance after of p_accounts[i],
-- NULL where none is kept.
-- A caller's mistake (unbalanced, unknown account, zero, too many decimals) raises MPS03, the
-- balance by ledger_require_balanced().
CREATE OR REPLACE FUNCTION ledger_post(
    p_kind text, p_reference uuid, p_accounts uuid[], p_amounts numeric[],
    OUT posting_id uuid, OUT refused_account uuid, OUT balances numeric[])
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_catalog AS $$
DECLARE
    account record;
    n integer := cardinality(p_accounts);
    place integer;
    setting text;
BEGIN
    IF n IS NULL OR n < 2 OR n IS DISTINCT FROM cardinality(p_amounts) THEN
        RAISE EXCEPTION 'a posting needs two entries or more, each with an amount'
            USING ERRCODE = 'MPS03';
    END IF;
    FOR i IN 1..n LOOP
        IF p_amounts[i] IS NULL OR p_amounts[i] = 0 OR p_amounts[i] = 'NaN'
           OR p_amounts[i] <> round(p_amounts[i], 2) THEN
            RAISE EXCEPTION 'an entry moves a non-zero amount of at most two decimals'
                USING ERRCODE = 'MPS03';
        END IF;
        IF array_position(p_accounts, p_accounts[i], i + 1) IS NOT NULL THEN
            RAISE EXCEPTION 'an account stands once in a posting' USING ERRCODE = 'MPS03';
        END IF;
    END LOOP;
    balances := array_fill(NULL::numeric, ARRAY[n]);
    -- Id order is the lock order of every posting: two postings over the same accounts cannot
    -- deadlock.
    FOR account IN
        SELECT a.id, a.balance FROM ledger_account a
        WHERE a.id = ANY (p_accounts) AND a.balance IS NOT NULL ORDER BY a.id FOR NO KEY UPDATE
    LOOP
        place := array_position(p_accounts, account.id);
        balances[place] := account.balance + p_amounts[place];
        IF balances[place] < 0 THEN
            refused_account := account.id;
            balances := NULL;
            RETURN;
        END IF;
    END LOOP;

    -- Made after the locks: an account's entries sort by id in the order in which its balance
    -- moved.
    posting_id := core_new_id();
    setting := set_config('mps.posting_id', posting_id::text, true);
    UPDATE ledger_account a SET balance = moved.balance
    FROM unnest(p_accounts, balances) AS moved (account_id, balance)
    WHERE a.id = moved.account_id AND moved.balance IS NOT NULL;
    setting := set_config('mps.posting_id', '', true);
    INSERT INTO ledger_posting (id, kind, reference, posted_at)
    VALUES (posting_id, p_kind, p_reference, clock_timestamp() + core_clock_shift());
    INSERT INTO ledger_entry (posting_id, account_id, amount, balance_after)
    SELECT ledger_post.posting_id, e.account_id, e.amount, e.balance_after
    FROM unnest(p_accounts, p_amounts, balances) AS e (account_id, amount, balance_after);
END $$;
GRANT SELECT ON ledger_account, ledger_posting, ledger_entry
    TO merchant_api, member_app, platform_admin;
GRANT EXECUTE ON FUNCTION ledger_open_account(text, text) TO member_app, platform_admin;
GRANT EXECUTE ON FUNCTION ledger_platform_account(text, text)
    TO merchant_api, member_app, platform_admin;
GRANT EXECUTE ON FUNCTION ledger_lock_accounts(uuid[]) TO merchant_api, platform_admin;
GRANT EXECUTE ON FUNCTION ledger_post(text, uuid, uuid[], numeric[])
    TO merchant_api, platform_admin;

CREATE OR REPLACE VIEW report.entries WITH (security_barrier) AS
    SELECT e.id AS entry_id, e.posting_id, e.account_id, a.unit, e.amount, e.balance_after,
           p.posted_at
    FROM ledger_entry e
    JOIN ledger_posting p ON p.id = e.posting_id
    JOIN ledger_account a ON a.id = e.account_id;
GRANT SELECT ON report.entries TO mps_report;
