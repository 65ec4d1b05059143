REVOKE ALL ON SEQUENCE auth_user_id_seq FROM member_app;
REVOKE ALL ON auth_user FROM member_app;
SELECT core_unprotect('auth_user');
SELECT core_unprotect(t) FROM unnest(ARRAY[
    'members_member', 'members_externalidentity', 'members_membertoken', 'members_pin', 'members_onetimecode'
]::regclass[]) AS t;
