-- Who sees which members: a member themself, the console all; a shop nobody.

SELECT core_protect(t) FROM unnest(ARRAY[
    'members_member', 'members_externalidentity', 'members_membertoken', 'members_pin', 'members_onetimecode'
]::regclass[]) AS t;

CREATE POLICY members_member_self ON members_member TO member_app
    USING (id = core_principal_id()) WITH CHECK (id = core_principal_id());
CREATE POLICY members_externalidentity_self ON members_externalidentity TO member_app
    USING (member_id = core_principal_id()) WITH CHECK (member_id = core_principal_id());
CREATE POLICY members_membertoken_self ON members_membertoken TO member_app
    USING (member_id = core_principal_id()) WITH CHECK (member_id = core_principal_id());
CREATE POLICY members_pin_self ON members_pin TO member_app
    USING (member_id = core_principal_id()) WITH CHECK (member_id = core_principal_id());
