-- Who sees which members: a member themself, the console all; a shop nobody.

SELECT core_protect(t) FROM unnest(ARRAY[
    'members_member', 'members_externalidentity', 'members_membertoken', 'members_pin',
    'members_onetimecode'
]::regclass[]) t;

DROP POLICY IF EXISTS members_member_self ON members_member;
CREATE POLICY members_member_self ON members_member TO member_app
    USING (id = core_principal_id()) WITH CHECK (id = core_principal_id());
DROP POLICY IF EXISTS members_externalidentity_self ON members_externalidentity;
CREATE POLICY members_externalidentity_self ON members_externalidentity TO member_app
    USING (member_id = core_principal_id()) WITH CHECK (member_id = core_principal_id());
DROP POLICY IF EXISTS members_membertoken_self ON members_membertoken;
CREATE POLICY members_membertoken_self ON members_membertoken TO member_app
    USING (member_id = core_principal_id()) WITH CHECK (member_id = core_principal_id());
DROP POLICY IF EXISTS members_pin_self ON members_pin;
CREATE POLICY members_pin_self ON members_pin TO member_app
    USING (member_id = core_principal_id()) WITH CHECK (member_id = core_principal_id());

-- The user a member signs in as, named by the member's id: a member is never made staff by
-- themself. The web login finds users before it knows who asks.
SELECT core_protect('auth_user');

DROP POLICY IF EXISTS auth_user_sign_in ON auth_user;
CREATE POLICY auth_user_sign_in ON auth_user TO mps_web USING (true) WITH CHECK (true);
DROP POLICY IF EXISTS auth_user_self ON auth_user;
CREATE POLICY auth_user_self ON auth_user TO member_app
    USING (username = replace(core_principal_id()::text, '-', ''))
    WITH CHECK (username = replace(core_principal_id()::text, '-', '') AND NOT is_staff
                AND NOT is_superuser);
GRANT SELECT, INSERT, UPDATE (password) ON auth_user TO member_app;
GRANT USAGE ON SEQUENCE auth_user_id_seq TO member_app;
