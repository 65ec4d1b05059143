-- Nobody but the console sees an account before an app says whose it is. A posting is seen with one
-- of its entries.

SELECT core_protect(t)
FROM unnest(ARRAY['ledger_account', 'ledger_posting', 'ledger_entry']::regclass[]) t;

DROP POLICY IF EXISTS ledger_posting_of_entry ON ledger_posting;
CREATE POLICY ledger_posting_of_entry ON ledger_posting FOR SELECT TO merchant_api, member_app
    USING (EXISTS (SELECT FROM ledger_entry e
                   WHERE e.posting_id = ledger_posting.id));
