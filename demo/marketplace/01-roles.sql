-- The roles of a Supabase project, as its platform lays them out. The bootstrap superuser is supabase_admin; what
-- customers are given is `postgres`, an ordinary role.
CREATE ROLE postgres LOGIN CREATEDB CREATEROLE REPLICATION BYPASSRLS;
CREATE ROLE anon NOLOGIN NOINHERIT;
CREATE ROLE authenticated NOLOGIN NOINHERIT;
CREATE ROLE service_role NOLOGIN NOINHERIT BYPASSRLS;
CREATE ROLE authenticator LOGIN NOINHERIT CONNECTION LIMIT 60;
CREATE ROLE supabase_auth_admin LOGIN NOINHERIT CREATEROLE;
CREATE ROLE supabase_storage_admin LOGIN NOINHERIT CREATEROLE;
CREATE ROLE dashboard_user NOLOGIN CREATEDB CREATEROLE REPLICATION;
-- The application's own: a partner that reads prices through the API, and a retired login.
CREATE ROLE api_partner NOLOGIN;
CREATE ROLE "Report Reader" LOGIN VALID UNTIL '2027-06-30 22:00:00+00';

GRANT anon, authenticated, service_role, supabase_storage_admin TO authenticator;
GRANT anon, authenticated, service_role TO postgres;
GRANT api_partner TO authenticator;
GRANT api_partner TO postgres WITH ADMIN OPTION;

ALTER ROLE anon SET statement_timeout = '3s';
ALTER ROLE authenticated SET statement_timeout = '8s';
ALTER ROLE authenticator SET statement_timeout = '8s';
ALTER ROLE authenticator SET lock_timeout = '8s';
ALTER ROLE supabase_auth_admin SET search_path TO auth;
ALTER ROLE supabase_auth_admin SET idle_in_transaction_session_timeout TO '60000';
ALTER ROLE supabase_storage_admin SET search_path TO storage;
ALTER ROLE postgres SET search_path TO "$user", public, extensions;

COMMENT ON ROLE api_partner IS 'Reads prices; its users arrive through the API''s authenticator';
