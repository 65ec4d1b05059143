-- Merchants are facts of a charge; terminals are looked up by key before anybody is known.

CREATE TRIGGER merchants_merchant_fact BEFORE UPDATE ON merchants_merchant
    FOR EACH ROW EXECUTE FUNCTION core_change_fact();

-- Who holds this terminal key, if it may act now. Run outside any principal's scope.
CREATE FUNCTION merchants_authenticate_terminal(p_key_id uuid, p_secret_hash bytea)
RETURNS TABLE (
    terminal_id uuid, terminal_name text, can_top_up boolean, can_manage_webhooks boolean,
    merchant_id uuid, merchant_code text, merchant_status text, merchant_time_zone text, merchant_account_id uuid,
    merchant_fee_rate numeric)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_catalog AS $$
    SELECT t.id, t.name, t.can_top_up, t.can_manage_webhooks,
           m.id, m.code, m.status, m.time_zone, m.account_id, m.fee_rate
    FROM merchants_terminalkey k
    JOIN merchants_terminal t ON t.id = k.terminal_id
    JOIN merchants_merchant m ON m.id = t.merchant_id
    WHERE k.id = p_key_id AND k.secret_hash = p_secret_hash
      AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now()) AND t.revoked_at IS NULL
$$;
GRANT EXECUTE ON FUNCTION merchants_authenticate_terminal(uuid, bytea) TO mps_web;

-- What everybody may know of a shop.
CREATE FUNCTION merchants_name(p_merchant_id uuid) RETURNS TABLE (code text, name text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_catalog AS $$
    SELECT m.code, m.name FROM merchants_merchant m WHERE m.id = p_merchant_id
$$;
GRANT EXECUTE ON FUNCTION merchants_name(uuid) TO member_app, merchant_api, platform_admin;

GRANT SELECT ON merchants_merchant, merchants_terminal, merchants_terminalkey, merchants_merchantuser
    TO merchant_api, platform_admin;
GRANT SELECT ON merchants_merchant TO member_app;
GRANT INSERT, UPDATE ON merchants_merchant, merchants_terminal, merchants_terminalkey, merchants_merchantuser TO platform_admin;
GRANT DELETE ON merchants_merchantuser TO platform_admin;
