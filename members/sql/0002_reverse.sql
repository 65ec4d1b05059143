DROP FUNCTION members_taken(text, text, text, text);
DROP FUNCTION members_find_by_user(integer);
DROP FUNCTION members_find_sign_in(text);
DROP FUNCTION members_authenticate_token(uuid, bytea);
DROP TRIGGER members_member_fact ON members_member;
DROP FUNCTION members_next_number();
DROP SEQUENCE members_member_number_seq;
