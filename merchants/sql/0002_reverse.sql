DROP FUNCTION merchants_name(uuid);
DROP FUNCTION merchants_authenticate_terminal(uuid, bytea);
DROP TRIGGER merchants_merchant_fact ON merchants_merchant;
