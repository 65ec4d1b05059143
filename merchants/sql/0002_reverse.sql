DROP FUNCTION merchants_name(uuid);
DROP FUNCTION merchants_hold_active(uuid);
DROP FUNCTION merchants_note_guess(uuid);
DROP FUNCTION merchants_authenticate_terminal(uuid, bytea);
DROP FUNCTION merchants_terminal_of_key(uuid);
DROP TRIGGER merchants_merchant_fact ON merchants_merchant;
