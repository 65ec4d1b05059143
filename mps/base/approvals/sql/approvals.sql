-- It begins as a request; what was asked for never changes; the state goes forward only.
CREATE OR REPLACE FUNCTION approvals_guard() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_catalog AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.state = 'requested' THEN RETURN NEW; END IF;
    ELSIF (OLD.state, NEW.state) IN (
            ('requested', 'approved'), ('requested', 'rejected'), ('requested', 'expired'))
        AND (NEW.state = 'expired') = (OLD.expires_at <= core_now())
        AND to_jsonb(OLD) - '{state,checker_id,decided_at}'::text[]
          = to_jsonb(NEW) - '{state,checker_id,decided_at}'::text[] THEN
        RETURN NEW;
    ELSIF (OLD.state, NEW.state) IN (('approved', 'done'), ('approved', 'failed'))
        AND to_jsonb(OLD) - '{state,result}'::text[] = to_jsonb(NEW) - '{state,result}'::text[] THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'approvals_approval: % refused', TG_OP USING ERRCODE = 'MPS02';
END $$;

CREATE OR REPLACE TRIGGER approvals_approval_guard BEFORE INSERT OR UPDATE ON approvals_approval
    FOR EACH ROW EXECUTE FUNCTION approvals_guard();
CREATE OR REPLACE TRIGGER approvals_approval_kept BEFORE DELETE OR TRUNCATE ON approvals_approval
    FOR EACH STATEMENT EXECUTE FUNCTION core_refuse_change();

-- Staff only: the platform sees all rows, members and merchants none.
GRANT SELECT, INSERT, UPDATE (state, checker_id, decided_at, result) ON approvals_approval
    TO platform_admin;
