-- Who holds this member token, if it may act now. Run outside any principal's scope.
CREATE OR REPLACE FUNCTION members_authenticate_token(p_token_id uuid, p_secret_hash bytea)
RETURNS TABLE (
    token_id uuid, member_id uuid, member_number text, member_status text, user_id integer)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_catalog
SET enable_seqscan = off AS $$
    SELECT k.id, m.id, m.number, m.status, m.user_id
    FROM members_membertoken k JOIN members_member m ON m.id = k.member_id
    WHERE k.id = p_token_id AND k.secret_hash = p_secret_hash AND k.revoked_at IS NULL
      AND k.expires_at > now()
$$;
GRANT EXECUTE ON FUNCTION members_authenticate_token(uuid, bytea) TO mps_web;

-- The member and Django user an identifier (phone, lower-case e-mail or member number) signs in as.
-- A phone or e-mail nobody verified signs in nobody if p_verified.
CREATE OR REPLACE FUNCTION members_find_sign_in(p_identifier text, p_verified boolean)
RETURNS TABLE (member_id uuid, member_number text, user_id integer)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_catalog AS $$
    SELECT id, number, user_id FROM members_member WHERE number = p_identifier
    UNION ALL SELECT id, number, user_id FROM members_member
    WHERE phone = p_identifier AND (phone_verified_at IS NOT NULL OR NOT p_verified)
    UNION ALL SELECT id, number, user_id FROM members_member
    WHERE email = p_identifier AND (email_verified_at IS NOT NULL OR NOT p_verified)
    LIMIT 1
$$;
GRANT EXECUTE ON FUNCTION members_find_sign_in(text, boolean)
    TO mps_web, member_app, platform_admin;

-- The member an external identity belongs to; whoever asks has had it proved.
CREATE OR REPLACE FUNCTION members_find_by_identity(p_provider text, p_external_id text)
RETURNS TABLE (member_id uuid, member_number text, user_id integer)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_catalog AS $$
    SELECT m.id, m.number, m.user_id FROM members_externalidentity i
    JOIN members_member m ON m.id = i.member_id
    WHERE i.provider = p_provider AND i.external_id = p_external_id
$$;
GRANT EXECUTE ON FUNCTION members_find_by_identity(text, text) TO mps_web;

-- Whether a token may act now. For a session that was handed out with it.
CREATE OR REPLACE FUNCTION members_token_lives(p_token_id uuid) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_catalog AS $$
    SELECT EXISTS (SELECT FROM members_membertoken
                   WHERE id = p_token_id AND revoked_at IS NULL AND expires_at > now())
$$;
GRANT EXECUTE ON FUNCTION members_token_lives(uuid) TO mps_web;

-- The member a Django user is; nothing for staff.
CREATE OR REPLACE FUNCTION members_find_by_user(p_user_id integer)
RETURNS TABLE (member_id uuid, member_number text, user_id integer)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_catalog AS $$
    SELECT id, number, user_id FROM members_member WHERE user_id = p_user_id
$$;
GRANT EXECUTE ON FUNCTION members_find_by_user(integer) TO mps_web;

-- Which of phone, e-mail or external identity belongs to somebody already: its name, or ''.
CREATE OR REPLACE FUNCTION members_taken(
    p_phone text, p_email text, p_provider text, p_external_id text) RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_catalog AS $$
    SELECT CASE
        WHEN p_phone <> ''
            AND EXISTS (SELECT FROM members_member WHERE phone = p_phone) THEN 'phone'
        WHEN p_email <> ''
            AND EXISTS (SELECT FROM members_member WHERE email = p_email) THEN 'email'
        WHEN p_provider <> '' AND EXISTS (
            SELECT FROM members_externalidentity
            WHERE provider = p_provider AND external_id = p_external_id)
            THEN 'external_id'
        ELSE '' END
$$;
GRANT EXECUTE ON FUNCTION members_taken(text, text, text, text) TO member_app, platform_admin;

-- Forget tokens that ran out more than 30 days ago, at most p_most of them. Answers how many.
CREATE OR REPLACE FUNCTION members_purge_tokens(p_most integer) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_catalog AS $$
    WITH gone AS (
        DELETE FROM members_membertoken WHERE id = ANY (ARRAY(
            SELECT k.id FROM members_membertoken k
            WHERE k.expires_at < core_now() - interval '30 days'
            LIMIT p_most FOR UPDATE SKIP LOCKED)) RETURNING 1
    ) SELECT count(*) FROM gone
$$;

-- How many there are to forget.
CREATE OR REPLACE FUNCTION members_count_old_tokens() RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_catalog AS $$
    SELECT count(*) FROM members_membertoken WHERE expires_at < core_now() - interval '30 days'
$$;
GRANT EXECUTE ON FUNCTION members_purge_tokens(integer), members_count_old_tokens()
    TO platform_admin;
