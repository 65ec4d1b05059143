-- Member numbers, and the look-ups that happen before anybody is known.

CREATE SEQUENCE members_member_number_seq;

CREATE FUNCTION members_next_number() RETURNS text
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_catalog AS $$
    SELECT 'M' || lpad(n::text, greatest(8, length(n::text)), '0') FROM nextval('members_member_number_seq') AS n
$$;
GRANT EXECUTE ON FUNCTION members_next_number() TO member_app, platform_admin;

-- Who joined lately, for the console.
CREATE INDEX members_member_joined ON members_member (created_at);

CREATE TRIGGER members_member_fact BEFORE UPDATE ON members_member
    FOR EACH ROW EXECUTE FUNCTION core_change_fact();

-- Who holds this member token, if it may act now. Run outside any principal's scope.
CREATE FUNCTION members_authenticate_token(p_token_id uuid, p_secret_hash bytea)
RETURNS TABLE (token_id uuid, member_id uuid, member_number text, member_status text, user_id integer)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_catalog SET enable_seqscan = off AS $$
    SELECT k.id, m.id, m.number, m.status, m.user_id
    FROM members_membertoken k JOIN members_member m ON m.id = k.member_id
    WHERE k.id = p_token_id AND k.secret_hash = p_secret_hash AND k.revoked_at IS NULL AND k.expires_at > now()
$$;
GRANT EXECUTE ON FUNCTION members_authenticate_token(uuid, bytea) TO mps_web;

-- The member and Django user an identifier (phone, lower-case e-mail or member number) signs in as. A phone or
-- e-mail nobody verified signs in nobody if p_verified.
CREATE FUNCTION members_find_sign_in(p_identifier text, p_verified boolean)
RETURNS TABLE (member_id uuid, member_number text, user_id integer)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_catalog AS $$
    SELECT id, number, user_id FROM members_member WHERE number = p_identifier
    UNION ALL SELECT id, number, user_id FROM members_member
    WHERE phone = p_identifier AND (phone_verified_at IS NOT NULL OR NOT p_verified)
    UNION ALL SELECT id, number, user_id FROM members_member
    WHERE email = p_identifier AND (email_verified_at IS NOT NULL OR NOT p_verified)
    LIMIT 1
$$;
GRANT EXECUTE ON FUNCTION members_find_sign_in(text, boolean) TO mps_web, member_app, platform_admin;

-- The member an external identity belongs to; whoever asks has had it proved.
CREATE FUNCTION members_find_by_identity(p_provider text, p_external_id text)
RETURNS TABLE (member_id uuid, member_number text, user_id integer)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_catalog AS $$
    SELECT m.id, m.number, m.user_id FROM members_externalidentity i JOIN members_member m ON m.id = i.member_id
    WHERE i.provider = p_provider AND i.external_id = p_external_id
$$;
GRANT EXECUTE ON FUNCTION members_find_by_identity(text, text) TO mps_web;

-- Whether a token may act now. For a session that was handed out with it.
CREATE FUNCTION members_token_lives(p_token_id uuid) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_catalog AS $$
    SELECT EXISTS (SELECT FROM members_membertoken
                   WHERE id = p_token_id AND revoked_at IS NULL AND expires_at > now())
$$;
GRANT EXECUTE ON FUNCTION members_token_lives(uuid) TO mps_web;

-- The member a Django user is; nothing for staff.
CREATE FUNCTION members_find_by_user(p_user_id integer)
RETURNS TABLE (member_id uuid, member_number text, user_id integer)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_catalog AS $$
    SELECT id, number, user_id FROM members_member WHERE user_id = p_user_id
$$;
GRANT EXECUTE ON FUNCTION members_find_by_user(integer) TO mps_web;

-- Which of phone, e-mail or external identity belongs to somebody already: its name, or ''.
CREATE FUNCTION members_taken(p_phone text, p_email text, p_provider text, p_external_id text) RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_catalog AS $$
    SELECT CASE
        WHEN p_phone <> '' AND EXISTS (SELECT FROM members_member WHERE phone = p_phone) THEN 'phone'
        WHEN p_email <> '' AND EXISTS (SELECT FROM members_member WHERE email = p_email) THEN 'email'
        WHEN p_provider <> '' AND EXISTS (
            SELECT FROM members_externalidentity WHERE provider = p_provider AND external_id = p_external_id)
            THEN 'external_id'
        ELSE '' END
$$;
GRANT EXECUTE ON FUNCTION members_taken(text, text, text, text) TO member_app, platform_admin;

-- Forget who the asking member is: what names them, what they sign in with, where they signed in from. Their number
-- stays, and with it what money they moved. In plpgsql, as tables of later migrations are named.
CREATE FUNCTION members_erase() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_catalog AS $$
DECLARE
    me uuid := core_principal_id();
    login integer;
BEGIN
    UPDATE members_member
    SET name = 'Erased member', phone = NULL, email = NULL, phone_verified_at = NULL, email_verified_at = NULL,
        status = 'suspended', status_reason = 'erased', erased_at = core_now()
    WHERE id = me RETURNING user_id INTO login;
    DELETE FROM members_externalidentity WHERE member_id = me;
    DELETE FROM members_pin WHERE member_id = me;
    DELETE FROM members_membertoken WHERE member_id = me;
    DELETE FROM members_onetimecode WHERE member_id = me;
    DELETE FROM mfa_authenticator WHERE user_id = login;
    DELETE FROM account_emailconfirmation WHERE email_address_id IN (SELECT id FROM account_emailaddress WHERE user_id = login);
    DELETE FROM account_emailaddress WHERE user_id = login;
    DELETE FROM socialaccount_socialtoken WHERE account_id IN (SELECT id FROM socialaccount_socialaccount WHERE user_id = login);
    DELETE FROM socialaccount_socialaccount WHERE user_id = login;
    UPDATE auth_user SET is_active = false, password = '!', first_name = '', last_name = '', email = '', last_login = NULL
    WHERE id = login;
END $$;
GRANT EXECUTE ON FUNCTION members_erase() TO member_app;

-- What the log holds about the asking member, newest first: what they did and what was done to them, and from where if
-- it was them. Not who else did it, nor why.
CREATE FUNCTION members_own_events(p_most integer) RETURNS TABLE (happened_at timestamptz, action text, address text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_catalog AS $$
BEGIN
    RETURN QUERY
    SELECT e.happened_at, e.action::text, CASE WHEN e.actor_type = 'member' THEN e.address::text ELSE '' END
    FROM audit_event e JOIN members_member m ON m.id = core_principal_id()
    WHERE e.object_id IN (m.number, m.id::text) AND e.object_type = 'member'
    ORDER BY e.id DESC LIMIT p_most;
END $$;
GRANT EXECUTE ON FUNCTION members_own_events(integer) TO member_app;

-- Forget tokens that ran out more than 30 days ago, at most p_most of them. Answers how many.
CREATE FUNCTION members_purge_tokens(p_most integer) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_catalog AS $$
    WITH gone AS (
        DELETE FROM members_membertoken WHERE id = ANY (ARRAY(
            SELECT k.id FROM members_membertoken k WHERE k.expires_at < core_now() - interval '30 days'
            LIMIT p_most FOR UPDATE SKIP LOCKED)) RETURNING 1
    ) SELECT count(*) FROM gone
$$;
-- How many there are to forget.
CREATE FUNCTION members_count_old_tokens() RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_catalog AS $$
    SELECT count(*) FROM members_membertoken WHERE expires_at < core_now() - interval '30 days'
$$;
GRANT EXECUTE ON FUNCTION members_purge_tokens(integer), members_count_old_tokens() TO platform_admin;

GRANT SELECT ON members_member TO member_app, platform_admin;
GRANT SELECT, INSERT, DELETE ON members_externalidentity TO member_app, platform_admin;
GRANT SELECT, INSERT, DELETE ON members_pin TO member_app;
GRANT UPDATE (pin_hash, set_at) ON members_pin TO member_app;
GRANT SELECT, INSERT ON members_membertoken TO member_app, platform_admin;
GRANT UPDATE (revoked_at) ON members_membertoken TO member_app, platform_admin;
GRANT INSERT ON members_member TO member_app, platform_admin;
GRANT UPDATE (name, phone, email, phone_verified_at, email_verified_at) ON members_member TO member_app;
GRANT UPDATE (name, phone, email, phone_verified_at, email_verified_at, status, status_reason, limit_per_payment,
              limit_per_day) ON members_member TO platform_admin;
