GRANT USAGE ON SCHEMA report TO mps_report, mps_backup;
GRANT USAGE ON SCHEMA public, archive TO mps_backup;
GRANT USAGE ON SCHEMA public TO mps_web, merchant_api, member_app, platform_admin;

-- The frameworks' tables that were made before.
GRANT SELECT ON ALL TABLES IN SCHEMA public TO mps_backup;
GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO mps_backup;

-- Which migrations and files of SQL were applied; /readyz compares them with the code's.
GRANT SELECT ON django_migrations TO mps_web;

CREATE OR REPLACE FUNCTION core_applied_files() RETURNS TABLE (app text, name text, sha256 bytea)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_catalog AS $$
    SELECT f.app, f.name, f.sha256 FROM core_sqlfile f
$$;
GRANT EXECUTE ON FUNCTION core_applied_files() TO mps_web, platform_admin;
