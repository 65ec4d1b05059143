-- Approvals are the console's.

SELECT core_protect('approvals_approval');
