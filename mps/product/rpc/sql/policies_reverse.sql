SELECT core_unprotect('rpc_servicekey');
