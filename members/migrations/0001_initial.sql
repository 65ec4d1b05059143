-- Member numbers, and the look-ups that happen before anybody is known.

CREATE SEQUENCE members_member_number_seq;

-- Who joined lately, for the console.
CREATE INDEX members_member_joined ON members_member (created_at);

-- One-time codes. Used before anybody is known, so by functions, and in no other way.

ALTER TABLE members_onetimecode ADD CONSTRAINT members_code_purpose_valid
    CHECK (purpose IN ('sign_in', 'verify', 'reset'));
