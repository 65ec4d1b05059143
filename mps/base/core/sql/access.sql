GRANT USAGE ON SCHEMA report TO mps_report, mps_backup;
GRANT USAGE ON SCHEMA public, archive TO mps_backup;
GRANT USAGE ON SCHEMA public TO mps_web, merchant_api, member_app, platform_admin;

-- The frameworks' tables that were made before.
GRANT SELECT ON ALL TABLES IN SCHEMA public TO mps_backup;
GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO mps_backup;

-- Which migrations and files of SQL were applied; /readyz compares them with the code's.
GRANT SELECT ON django_migrations, core_sqlfile TO mps_web;
