SELECT core_unprotect(t) FROM unnest(ARRAY[
    'members_member', 'members_externalidentity', 'members_membertoken', 'members_pin', 'members_onetimecode'
]::regclass[]) AS t;
