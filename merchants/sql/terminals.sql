-- Merchants are facts of a charge; terminals are looked up by key before anybody is known.

CREATE OR REPLACE TRIGGER merchants_merchant_fact BEFORE UPDATE ON merchants_merchant
    FOR EACH ROW EXECUTE FUNCTION core_change_fact();

-- The terminal of a key that may be used now, and what proves that somebody has it. Run outside any
-- principal's scope.
CREATE OR REPLACE FUNCTION merchants_terminal_of_key(p_key_id uuid)
RETURNS TABLE (
    terminal_id uuid, terminal_name text, can_top_up boolean, can_manage_webhooks boolean,
    require_signature boolean, guessed_lately boolean,
    merchant_id uuid, merchant_code text, merchant_time_zone text, merchant_account_id uuid,
    merchant_fee_rate numeric,
    secret_hash bytea, sealed_signing_key bytea, sealed_by text, read_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_catalog
SET enable_seqscan = off AS $$
    SELECT t.id, t.name, t.can_top_up, t.can_manage_webhooks, t.require_signature,
           coalesce(t.guessed_at > core_now() - interval '2 minutes', false),
           m.id, m.code, m.time_zone, m.account_id, m.fee_rate,
           k.secret_hash, k.sealed_signing_key, k.sealed_by, core_now()
    FROM merchants_terminalkey k
    JOIN merchants_terminal t ON t.id = k.terminal_id
    JOIN merchants_merchant m ON m.id = t.merchant_id
    WHERE k.id = p_key_id
      AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now())
      AND t.revoked_at IS NULL
$$;
GRANT EXECUTE ON FUNCTION merchants_terminal_of_key(uuid) TO mps_web;

-- Who holds this terminal key, if it may act now.
CREATE OR REPLACE FUNCTION merchants_authenticate_terminal(p_key_id uuid, p_secret_hash bytea)
RETURNS TABLE (
    terminal_id uuid, terminal_name text, can_top_up boolean, can_manage_webhooks boolean,
    require_signature boolean, guessed_lately boolean,
    merchant_id uuid, merchant_code text, merchant_time_zone text, merchant_account_id uuid,
    merchant_fee_rate numeric)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_catalog AS $$
    SELECT terminal_id, terminal_name, can_top_up, can_manage_webhooks, require_signature,
           guessed_lately, merchant_id, merchant_code, merchant_time_zone, merchant_account_id,
           merchant_fee_rate
    FROM merchants_terminal_of_key(p_key_id) WHERE secret_hash = p_secret_hash
$$;
GRANT EXECUTE ON FUNCTION merchants_authenticate_terminal(uuid, bytea) TO mps_web;

-- Remember that a terminal of the scope's shop showed a code nobody ever had. Written every half
-- minute at most.
CREATE OR REPLACE FUNCTION merchants_note_guess(p_terminal_id uuid) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_catalog AS $$
    UPDATE merchants_terminal SET guessed_at = core_now()
    WHERE id = p_terminal_id AND merchant_id = core_principal_id()
      AND (guessed_at IS NULL OR guessed_at < core_now() - interval '30 seconds')
$$;
GRANT EXECUTE ON FUNCTION merchants_note_guess(uuid) TO merchant_api;

-- Whether a shop is active; it stays so until the end of the database transaction.
CREATE OR REPLACE FUNCTION merchants_hold_active(p_merchant_id uuid) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_catalog AS $$
BEGIN
    PERFORM core_share_fact(p_merchant_id);
    RETURN (SELECT m.status = 'active' FROM merchants_merchant m WHERE m.id = p_merchant_id);
END $$;
GRANT EXECUTE ON FUNCTION merchants_hold_active(uuid) TO merchant_api;

-- What everybody may know of a shop.
CREATE OR REPLACE FUNCTION merchants_name(p_merchant_id uuid) RETURNS TABLE (code text, name text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_catalog AS $$
    SELECT m.code, m.name FROM merchants_merchant m WHERE m.id = p_merchant_id
$$;
GRANT EXECUTE ON FUNCTION merchants_name(uuid) TO member_app, merchant_api, platform_admin;
GRANT SELECT
    ON merchants_merchant, merchants_terminal, merchants_terminalkey, merchants_merchantuser
    TO merchant_api, platform_admin;
GRANT SELECT ON merchants_merchant TO member_app;
GRANT INSERT, UPDATE
    ON merchants_merchant, merchants_terminal, merchants_terminalkey, merchants_merchantuser
    TO platform_admin;
GRANT DELETE ON merchants_merchantuser TO platform_admin;
