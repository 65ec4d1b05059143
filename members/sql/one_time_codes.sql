-- Make a code for a destination; those it had for the same purpose and member are dead. Without a
-- member it is a stand-in that nobody can use: what is asked for somebody unknown costs the same.
-- Codes of the day before are forgotten on the way.
CREATE OR REPLACE FUNCTION members_make_code(
    p_purpose text, p_destination text, p_member_id uuid, p_nonce bytea,
                                  p_ttl_seconds integer) RETURNS uuid
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_catalog AS $$
    DELETE FROM members_onetimecode WHERE id IN (
        SELECT id FROM members_onetimecode WHERE expires_at < now() - interval '1 day'
        LIMIT 10 FOR UPDATE SKIP LOCKED);
    UPDATE members_onetimecode SET ended_at = now()
    WHERE destination = p_destination AND purpose = p_purpose AND ended_at IS NULL
      AND member_id IS NOT DISTINCT FROM p_member_id;
    INSERT INTO members_onetimecode (id, purpose, destination, member_id, nonce, expires_at, tries)
    VALUES (gen_random_uuid(), p_purpose, p_destination, p_member_id, p_nonce,
            now() + make_interval(secs => p_ttl_seconds), 0)
    RETURNING id
$$;
GRANT EXECUTE ON FUNCTION members_make_code(text, text, uuid, bytea, integer) TO mps_web;

-- What is to be sent; nothing if the code is dead by now, or a stand-in.
CREATE OR REPLACE FUNCTION members_code_to_send(p_id uuid)
RETURNS TABLE (purpose text, destination text, nonce bytea, member_number text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_catalog AS $$
    SELECT c.purpose, c.destination, c.nonce, m.number
    FROM members_onetimecode c JOIN members_member m ON m.id = c.member_id
    WHERE c.id = p_id AND c.ended_at IS NULL AND c.expires_at > now()
$$;
GRANT EXECUTE ON FUNCTION members_code_to_send(uuid) TO mps_web;

-- Count a try at the newest living code, at most p_tries of them, and answer what to compare with.
-- For p_member_id if it is given: two may want to verify one destination.
CREATE OR REPLACE FUNCTION members_try_code(
    p_purpose text, p_destination text, p_member_id uuid, p_tries integer)
RETURNS TABLE (id uuid, nonce bytea, member_id uuid)
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_catalog AS $$
    UPDATE members_onetimecode SET tries = tries + 1
    WHERE id = (SELECT c.id FROM members_onetimecode c
                WHERE c.destination = p_destination AND c.purpose = p_purpose
                  AND (p_member_id IS NULL OR c.member_id = p_member_id)
                  AND c.ended_at IS NULL AND c.expires_at > now()
                ORDER BY c.created_at DESC LIMIT 1)
      AND tries < p_tries AND ended_at IS NULL
    RETURNING id, nonce, member_id
$$;
GRANT EXECUTE ON FUNCTION members_try_code(text, text, uuid, integer) TO mps_web;

-- Use a code up; false if somebody was faster.
CREATE OR REPLACE FUNCTION members_use_code(p_id uuid) RETURNS boolean
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_catalog AS $$
    WITH used AS (UPDATE members_onetimecode SET ended_at = now()
                  WHERE id = p_id AND ended_at IS NULL RETURNING 1)
    SELECT EXISTS (SELECT FROM used)
$$;
GRANT EXECUTE ON FUNCTION members_use_code(uuid) TO mps_web;

-- Give the asking member a phone or e-mail they have proved to read. Whoever only claimed it loses
-- it: their member numbers are answered. NULL: it is somebody's who has proved it, too, and nothing
-- was changed.
CREATE OR REPLACE FUNCTION members_take_contact(p_phone text, p_email text) RETURNS text[]
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_catalog AS $$
DECLARE
    me uuid := core_principal_id();
    losers text[];
BEGIN
    IF EXISTS (SELECT FROM members_member WHERE id <> me
               AND (phone = p_phone AND phone_verified_at IS NOT NULL
                    OR email = p_email AND email_verified_at IS NOT NULL)) THEN
        RETURN NULL;
    END IF;
    WITH lost AS (
        UPDATE members_member SET phone = CASE WHEN phone = p_phone THEN NULL ELSE phone END,
                                  email = CASE WHEN email = p_email THEN NULL ELSE email END
        WHERE id <> me AND (phone = p_phone OR email = p_email) RETURNING number)
    SELECT coalesce(array_agg(number), '{}') INTO losers FROM lost;
    UPDATE members_member
    SET phone = coalesce(p_phone, phone), email = coalesce(p_email, email),
        phone_verified_at = CASE WHEN p_phone IS NULL THEN phone_verified_at ELSE now() END,
        email_verified_at = CASE WHEN p_email IS NULL THEN email_verified_at ELSE now() END
    WHERE id = me;
    RETURN losers;
END $$;
GRANT EXECUTE ON FUNCTION members_take_contact(text, text) TO member_app;
