-- Member numbers, and the look-ups that happen before anybody is known.

CREATE SEQUENCE members_member_number_seq;

CREATE FUNCTION members_next_number() RETURNS text
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_catalog AS $$
    SELECT 'M' || lpad(n::text, greatest(8, length(n::text)), '0') FROM nextval('members_member_number_seq') AS n
$$;
GRANT EXECUTE ON FUNCTION members_next_number() TO member_app, platform_admin;

CREATE TRIGGER members_member_fact BEFORE UPDATE ON members_member
    FOR EACH ROW EXECUTE FUNCTION core_change_fact();

-- Who holds this member token, if it may act now. Run outside any principal's scope.
CREATE FUNCTION members_authenticate_token(p_token_id uuid, p_secret_hash bytea)
RETURNS TABLE (token_id uuid, member_id uuid, member_number text, member_status text, user_id integer)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_catalog AS $$
    SELECT k.id, m.id, m.number, m.status, m.user_id
    FROM members_membertoken k JOIN members_member m ON m.id = k.member_id
    WHERE k.id = p_token_id AND k.secret_hash = p_secret_hash AND k.revoked_at IS NULL AND k.expires_at > now()
$$;
GRANT EXECUTE ON FUNCTION members_authenticate_token(uuid, bytea) TO mps_web;

-- The member and Django user an identifier (phone, lower-case e-mail or member number) signs in as.
CREATE FUNCTION members_find_sign_in(p_identifier text)
RETURNS TABLE (member_id uuid, member_number text, user_id integer)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_catalog AS $$
    SELECT id, number, user_id FROM members_member WHERE number = p_identifier
    UNION ALL SELECT id, number, user_id FROM members_member WHERE phone = p_identifier
    UNION ALL SELECT id, number, user_id FROM members_member WHERE email = p_identifier
    LIMIT 1
$$;
GRANT EXECUTE ON FUNCTION members_find_sign_in(text) TO mps_web, member_app, platform_admin;

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

GRANT SELECT ON members_member TO merchant_api, member_app, platform_admin;
GRANT SELECT, INSERT, DELETE ON members_externalidentity TO member_app, platform_admin;
GRANT SELECT, INSERT ON members_membertoken TO member_app, platform_admin;
GRANT UPDATE (revoked_at) ON members_membertoken TO member_app, platform_admin;
GRANT INSERT ON members_member TO member_app, platform_admin;
GRANT UPDATE (name, phone, email) ON members_member TO member_app;
GRANT UPDATE (name, phone, email, status, status_reason, limit_per_payment, limit_per_day) ON members_member TO platform_admin;
