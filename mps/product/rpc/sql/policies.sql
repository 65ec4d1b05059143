-- Service keys are the console's.

SELECT core_protect('rpc_servicekey');
