CREATE OR REPLACE FUNCTION members_next_number() RETURNS text
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_catalog AS $$
    SELECT 'M' || lpad(n::text, greatest(8, length(n::text)), '0')
    FROM nextval('members_member_number_seq') AS n
$$;
GRANT EXECUTE ON FUNCTION members_next_number() TO member_app, platform_admin;

CREATE OR REPLACE TRIGGER members_member_fact BEFORE UPDATE ON members_member
    FOR EACH ROW EXECUTE FUNCTION core_change_fact();

-- Forget who the asking member is: what names them, what they sign in with, where they signed in
-- from. Their number stays, and with it what money they moved. In plpgsql, as tables of later
-- migrations are named.
CREATE OR REPLACE FUNCTION members_erase() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_catalog AS $$
DECLARE
    me uuid := core_principal_id();
    login integer;
BEGIN
    UPDATE members_member
    SET name = 'Erased member', phone = NULL, email = NULL, phone_verified_at = NULL,
        email_verified_at = NULL, status = 'suspended', status_reason = 'erased',
        erased_at = core_now()
    WHERE id = me RETURNING user_id INTO login;
    DELETE FROM members_externalidentity WHERE member_id = me;
    DELETE FROM members_pin WHERE member_id = me;
    DELETE FROM members_membertoken WHERE member_id = me;
    DELETE FROM members_onetimecode WHERE member_id = me;
    DELETE FROM mfa_authenticator WHERE user_id = login;
    DELETE FROM account_emailconfirmation
    WHERE email_address_id IN (SELECT id FROM account_emailaddress WHERE user_id = login);
    DELETE FROM account_emailaddress WHERE user_id = login;
    DELETE FROM socialaccount_socialtoken
    WHERE account_id IN (SELECT id FROM socialaccount_socialaccount WHERE user_id = login);
    DELETE FROM socialaccount_socialaccount WHERE user_id = login;
    UPDATE auth_user
    SET is_active = false, password = '!', first_name = '', last_name = '', email = '',
        last_login = NULL
    WHERE id = login;
END $$;
GRANT EXECUTE ON FUNCTION members_erase() TO member_app;

-- What the log holds about the asking member, newest first: what they did and what was done to
-- them, and from where if it was them. Not who else did it, nor why.
CREATE OR REPLACE FUNCTION members_own_events(p_most integer)
RETURNS TABLE (happened_at timestamptz, action text, address text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_catalog AS $$
BEGIN
    RETURN QUERY
    SELECT e.happened_at, e.action::text,
           CASE WHEN e.actor_type = 'member' THEN e.address::text ELSE '' END
    FROM audit_event e JOIN members_member m ON m.id = core_principal_id()
    WHERE e.object_id IN (m.number, m.id::text) AND e.object_type = 'member'
    ORDER BY e.id DESC LIMIT p_most;
END $$;
GRANT EXECUTE ON FUNCTION members_own_events(integer) TO member_app;
GRANT SELECT ON members_member TO member_app, platform_admin;
GRANT SELECT, INSERT, DELETE ON members_externalidentity TO member_app, platform_admin;
GRANT SELECT, INSERT, DELETE ON members_pin TO member_app;
GRANT UPDATE (pin_hash, set_at) ON members_pin TO member_app;
GRANT SELECT, INSERT ON members_membertoken TO member_app, platform_admin;
GRANT UPDATE (revoked_at) ON members_membertoken TO member_app, platform_admin;
GRANT INSERT ON members_member TO member_app, platform_admin;
GRANT UPDATE (name, phone, email, phone_verified_at, email_verified_at) ON members_member
    TO member_app;
GRANT UPDATE (
    name, phone, email, phone_verified_at, email_verified_at, status, status_reason,
    limit_per_payment, limit_per_day) ON members_member TO platform_admin;
