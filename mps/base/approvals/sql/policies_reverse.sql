SELECT core_unprotect('approvals_approval');
