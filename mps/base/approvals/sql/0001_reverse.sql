DROP TABLE approvals_approval;
DROP FUNCTION approvals_guard();
