DROP FUNCTION members_take_contact(text, text);
DROP FUNCTION members_use_code(uuid);
DROP FUNCTION members_try_code(text, text, uuid, integer);
DROP FUNCTION members_code_to_send(uuid);
DROP FUNCTION members_make_code(text, text, uuid, bytea, integer);
ALTER TABLE members_onetimecode DROP CONSTRAINT members_code_purpose_valid;
