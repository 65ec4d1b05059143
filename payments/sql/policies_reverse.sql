SELECT core_unprotect(t) FROM unnest(ARRAY[
    'payments_transaction', 'payments_idempotency', 'payments_order', 'payments_providerorder', 'payments_unclaimed',
    'payments_approval', 'payments_spending'
]::regclass[]) AS t;
