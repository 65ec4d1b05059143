-- Numbers, tiers, codes and the reads and writes a charge makes on cards.

CREATE SEQUENCE cards_standard_number_seq;
CREATE SEQUENCE cards_prepaid_number_seq;
CREATE SEQUENCE cards_corporate_number_seq;
CREATE SEQUENCE cards_voucher_number_seq;

CREATE TABLE cards_codehistory (
    id uuid NOT NULL DEFAULT core_new_id(),
    card_id uuid NOT NULL,
    member_id uuid NOT NULL,
    code_hash bytea NOT NULL,
    issued_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    ended_at timestamptz NOT NULL,
    outcome varchar(10) NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT cards_codehistory_outcome_valid
        CHECK (outcome IN ('used', 'revoked', 'expired', 'replaced'))
) PARTITION BY RANGE (id);

CREATE INDEX cards_codehistory_hash ON cards_codehistory USING hash (code_hash);
