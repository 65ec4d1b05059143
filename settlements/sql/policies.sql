ALTER TABLE settlements_settlement ENABLE ROW LEVEL SECURITY;
ALTER TABLE settlements_settlement FORCE ROW LEVEL SECURITY;

DROP POLICY IF EXISTS settlements_settlement_owner ON settlements_settlement;
CREATE POLICY settlements_settlement_owner ON settlements_settlement TO mps_owner USING (true);
DROP POLICY IF EXISTS settlements_settlement_platform ON settlements_settlement;
CREATE POLICY settlements_settlement_platform ON settlements_settlement TO platform_admin
    USING (true);
DROP POLICY IF EXISTS settlements_settlement_shop ON settlements_settlement;
CREATE POLICY settlements_settlement_shop ON settlements_settlement FOR SELECT TO merchant_api
    USING (merchant_id = core_principal_id());

ALTER TABLE settlements_line ENABLE ROW LEVEL SECURITY;
ALTER TABLE settlements_line FORCE ROW LEVEL SECURITY;

DROP POLICY IF EXISTS settlements_line_owner ON settlements_line;
CREATE POLICY settlements_line_owner ON settlements_line TO mps_owner USING (true);
DROP POLICY IF EXISTS settlements_line_platform ON settlements_line;
CREATE POLICY settlements_line_platform ON settlements_line FOR SELECT TO platform_admin
    USING (true);
DROP POLICY IF EXISTS settlements_line_shop ON settlements_line;
CREATE POLICY settlements_line_shop ON settlements_line FOR SELECT TO merchant_api
    USING (settlement_id IN (SELECT s.id FROM settlements_settlement s
                             WHERE s.merchant_id = core_principal_id()));
