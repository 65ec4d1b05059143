DROP TABLE payments_sandboxorder;
DROP TABLE payments_topup;
DROP FUNCTION payments_guard_top_up();
