-- What a customer finds in a new project of Supabase's platform: roles, schemas, tables, grants, triggers of the platform.
-- Our own words after what was measured on PostgreSQL 15 laid out by the platform's migrations, November 2026; not the
-- platform's SQL. Run by supabase_admin, the platform's superuser. Not here, since no package gives it: supautils (its
-- leave to manage policies on storage tables is stood in for by a membership), pgsodium, supabase_vault, pg_net,
-- pg_graphql.
\set ON_ERROR_STOP on

CREATE ROLE postgres NOSUPERUSER CREATEDB CREATEROLE LOGIN REPLICATION BYPASSRLS PASSWORD :'password';
CREATE ROLE anon NOLOGIN NOINHERIT;
CREATE ROLE authenticated NOLOGIN NOINHERIT;
CREATE ROLE service_role NOLOGIN NOINHERIT BYPASSRLS;
CREATE ROLE authenticator LOGIN NOINHERIT PASSWORD :'password';
CREATE ROLE supabase_auth_admin NOINHERIT CREATEROLE LOGIN PASSWORD :'password';
CREATE ROLE supabase_storage_admin NOINHERIT CREATEROLE LOGIN PASSWORD :'password';
CREATE ROLE supabase_realtime_admin NOLOGIN NOINHERIT;
CREATE ROLE supabase_functions_admin NOINHERIT CREATEROLE LOGIN PASSWORD :'password';
CREATE ROLE supabase_replication_admin LOGIN REPLICATION PASSWORD :'password';
CREATE ROLE supabase_read_only_user LOGIN BYPASSRLS PASSWORD :'password';
CREATE ROLE dashboard_user NOLOGIN CREATEDB CREATEROLE REPLICATION;
CREATE ROLE pgbouncer LOGIN PASSWORD :'password';
CREATE ROLE pgsodium_keyholder NOLOGIN;
CREATE ROLE pgsodium_keyiduser NOLOGIN;
CREATE ROLE pgsodium_keymaker NOLOGIN;
GRANT anon, authenticated, service_role TO authenticator, postgres;
GRANT pg_monitor, pg_signal_backend TO postgres;
GRANT pg_read_all_data TO supabase_read_only_user;
GRANT SET ON PARAMETER session_replication_role TO postgres;
ALTER ROLE anon SET statement_timeout = '3s';
ALTER ROLE authenticated SET statement_timeout = '8s';
ALTER ROLE authenticator SET session_preload_libraries = '';
ALTER ROLE authenticator SET statement_timeout = '8s';
ALTER ROLE postgres SET search_path = E'"\\$user"', public, extensions;
ALTER ROLE supabase_auth_admin SET search_path = auth;
ALTER ROLE supabase_storage_admin SET search_path = storage;
ALTER DATABASE postgres OWNER TO postgres;
ALTER DATABASE postgres SET "app.settings.jwt_exp" = '3600';
-- Stands in for what supautils lets this role do.
GRANT supabase_storage_admin, supabase_auth_admin TO postgres;

GRANT USAGE ON SCHEMA public TO postgres, anon, authenticated, service_role;
GRANT CREATE ON SCHEMA public TO postgres;
ALTER DEFAULT PRIVILEGES FOR ROLE postgres IN SCHEMA public GRANT ALL ON TABLES TO postgres, anon, authenticated, service_role;
ALTER DEFAULT PRIVILEGES FOR ROLE postgres IN SCHEMA public GRANT ALL ON SEQUENCES TO postgres, anon, authenticated, service_role;
ALTER DEFAULT PRIVILEGES FOR ROLE postgres IN SCHEMA public GRANT ALL ON FUNCTIONS TO postgres, anon, authenticated, service_role;
ALTER DEFAULT PRIVILEGES FOR ROLE supabase_admin IN SCHEMA public GRANT ALL ON TABLES TO postgres, anon, authenticated, service_role;

CREATE SCHEMA extensions AUTHORIZATION postgres;
GRANT USAGE ON SCHEMA extensions TO postgres, anon, authenticated, service_role;
CREATE EXTENSION pgcrypto SCHEMA extensions;
CREATE EXTENSION "uuid-ossp" SCHEMA extensions;
CREATE EXTENSION pg_stat_statements SCHEMA extensions;

CREATE SCHEMA auth AUTHORIZATION supabase_admin;
GRANT ALL ON SCHEMA auth TO supabase_auth_admin, dashboard_user;
GRANT USAGE ON SCHEMA auth TO postgres, anon, authenticated, service_role;
SET ROLE supabase_auth_admin;
CREATE TYPE auth.factor_type AS ENUM ('totp', 'webauthn', 'phone');
CREATE TABLE auth.schema_migrations (version varchar(255) PRIMARY KEY);
CREATE TABLE auth.instances (id uuid PRIMARY KEY, uuid uuid, raw_base_config text, created_at timestamptz);
CREATE TABLE auth.users (
  instance_id uuid, id uuid PRIMARY KEY, aud varchar(255), role varchar(255), email varchar(255),
  encrypted_password varchar(255), email_confirmed_at timestamptz, confirmation_token varchar(255),
  raw_app_meta_data jsonb, raw_user_meta_data jsonb, is_super_admin boolean, created_at timestamptz,
  phone text DEFAULT NULL UNIQUE,
  confirmed_at timestamptz GENERATED ALWAYS AS (email_confirmed_at) STORED,
  is_sso_user boolean NOT NULL DEFAULT false, deleted_at timestamptz, is_anonymous boolean NOT NULL DEFAULT false);
CREATE UNIQUE INDEX users_email_partial_key ON auth.users (email) WHERE is_sso_user = false;
CREATE TABLE auth.identities (
  provider_id text NOT NULL, user_id uuid NOT NULL REFERENCES auth.users ON DELETE CASCADE, identity_data jsonb NOT NULL,
  provider text NOT NULL, last_sign_in_at timestamptz, created_at timestamptz,
  email text GENERATED ALWAYS AS (lower(identity_data ->> 'email')) STORED,
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(), UNIQUE (provider_id, provider));
CREATE TABLE auth.sessions (id uuid PRIMARY KEY, user_id uuid NOT NULL REFERENCES auth.users ON DELETE CASCADE, created_at timestamptz);
CREATE TABLE auth.refresh_tokens (
  id bigserial PRIMARY KEY, token varchar(255) UNIQUE, user_id varchar(255), revoked boolean,
  session_id uuid REFERENCES auth.sessions ON DELETE CASCADE);
CREATE TABLE auth.mfa_factors (
  id uuid PRIMARY KEY, user_id uuid NOT NULL REFERENCES auth.users ON DELETE CASCADE, factor_type auth.factor_type NOT NULL, secret text);
CREATE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql STABLE AS
  $$ SELECT nullif(current_setting('request.jwt.claim.sub', true), '')::uuid $$;
CREATE FUNCTION auth.role() RETURNS text LANGUAGE sql STABLE AS
  $$ SELECT nullif(current_setting('request.jwt.claim.role', true), '') $$;
INSERT INTO auth.schema_migrations VALUES ('20171026211738'), ('20240806073726');
ALTER TABLE auth.users ENABLE ROW LEVEL SECURITY;
ALTER TABLE auth.identities ENABLE ROW LEVEL SECURITY;
ALTER TABLE auth.sessions ENABLE ROW LEVEL SECURITY;
ALTER TABLE auth.refresh_tokens ENABLE ROW LEVEL SECURITY;
GRANT ALL ON ALL TABLES IN SCHEMA auth TO postgres WITH GRANT OPTION;
GRANT ALL ON ALL TABLES IN SCHEMA auth TO dashboard_user;
GRANT ALL ON ALL SEQUENCES IN SCHEMA auth TO postgres, dashboard_user;
REVOKE ALL ON auth.schema_migrations FROM postgres;
GRANT SELECT ON auth.schema_migrations TO postgres WITH GRANT OPTION;
RESET ROLE;

CREATE SCHEMA storage AUTHORIZATION supabase_admin;
GRANT ALL ON SCHEMA storage TO supabase_storage_admin, dashboard_user;
GRANT USAGE ON SCHEMA storage TO postgres, anon, authenticated, service_role;
SET ROLE supabase_storage_admin;
CREATE TABLE storage.migrations (id integer PRIMARY KEY, name varchar(100) UNIQUE NOT NULL, hash varchar(40) NOT NULL, executed_at timestamp DEFAULT now());
CREATE TABLE storage.buckets (
  id text PRIMARY KEY, name text NOT NULL UNIQUE, owner uuid, created_at timestamptz DEFAULT now(), updated_at timestamptz DEFAULT now(),
  public boolean DEFAULT false, avif_autodetection boolean DEFAULT false, file_size_limit bigint, allowed_mime_types text[], owner_id text);
CREATE TABLE storage.objects (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(), bucket_id text REFERENCES storage.buckets, name text, owner uuid,
  created_at timestamptz DEFAULT now(), updated_at timestamptz DEFAULT now(), last_accessed_at timestamptz DEFAULT now(), metadata jsonb,
  path_tokens text[] GENERATED ALWAYS AS (string_to_array(name, '/')) STORED, version text, owner_id text, user_metadata jsonb);
CREATE UNIQUE INDEX bucketid_objname ON storage.objects (bucket_id, name);
CREATE FUNCTION storage.foldername(name text) RETURNS text[] LANGUAGE sql IMMUTABLE AS
  $$ SELECT (string_to_array(name, '/'))[1 : array_length(string_to_array(name, '/'), 1) - 1] $$;
CREATE FUNCTION storage.update_updated_at_column() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN NEW.updated_at = now(); RETURN NEW; END $$;
CREATE FUNCTION storage.protect_delete() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  IF coalesce(current_setting('storage.allow_delete_query', true), 'false') <> 'true' THEN
    RAISE EXCEPTION 'Direct deletion from storage tables is not allowed. Use the Storage API instead.' USING ERRCODE = '42501';
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER update_objects_updated_at BEFORE UPDATE ON storage.objects FOR EACH ROW EXECUTE FUNCTION storage.update_updated_at_column();
CREATE TRIGGER protect_objects_delete BEFORE DELETE OR TRUNCATE ON storage.objects FOR EACH STATEMENT EXECUTE FUNCTION storage.protect_delete();
CREATE TRIGGER protect_buckets_delete BEFORE DELETE OR TRUNCATE ON storage.buckets FOR EACH STATEMENT EXECUTE FUNCTION storage.protect_delete();
ALTER TABLE storage.migrations ENABLE ROW LEVEL SECURITY;
ALTER TABLE storage.buckets ENABLE ROW LEVEL SECURITY;
ALTER TABLE storage.objects ENABLE ROW LEVEL SECURITY;
INSERT INTO storage.migrations VALUES (0, 'create-migrations-table', 'e18db593bcde2aca2a408c4d1100f6abba2195df');
GRANT ALL ON storage.buckets, storage.objects TO postgres WITH GRANT OPTION;
GRANT ALL ON storage.buckets, storage.objects TO anon, authenticated, service_role;
RESET ROLE;

CREATE SCHEMA realtime AUTHORIZATION supabase_admin;
GRANT USAGE ON SCHEMA realtime TO postgres, anon, authenticated, service_role;
CREATE TABLE realtime.schema_migrations (version bigint PRIMARY KEY, inserted_at timestamp);
INSERT INTO realtime.schema_migrations VALUES (20211116024918, now());
CREATE TABLE realtime.messages (topic text NOT NULL, extension text NOT NULL, payload jsonb, inserted_at timestamp NOT NULL DEFAULT now()) PARTITION BY RANGE (inserted_at);
CREATE TABLE realtime.messages_2026_11_26 PARTITION OF realtime.messages FOR VALUES FROM ('2026-11-26') TO ('2026-11-27');
ALTER TABLE realtime.messages OWNER TO supabase_realtime_admin;
ALTER TABLE realtime.messages_2026_11_26 OWNER TO supabase_realtime_admin;
GRANT SELECT ON realtime.schema_migrations TO postgres;

CREATE SCHEMA graphql AUTHORIZATION supabase_admin;
CREATE SCHEMA graphql_public AUTHORIZATION supabase_admin;
CREATE SCHEMA pgbouncer AUTHORIZATION pgbouncer;
CREATE FUNCTION pgbouncer.get_auth(usename text) RETURNS TABLE (username text, password text) LANGUAGE sql SECURITY DEFINER AS
  $$ SELECT rolname::text, rolpassword::text FROM pg_authid WHERE rolname = usename $$;
REVOKE ALL ON FUNCTION pgbouncer.get_auth FROM public;
GRANT EXECUTE ON FUNCTION pgbouncer.get_auth TO pgbouncer;
CREATE SCHEMA supabase_functions AUTHORIZATION supabase_admin;
GRANT USAGE ON SCHEMA supabase_functions TO postgres, anon, authenticated, service_role;
CREATE TABLE supabase_functions.hooks (id bigserial PRIMARY KEY, hook_table_id integer NOT NULL, hook_name text NOT NULL, request_id bigint);
CREATE FUNCTION supabase_functions.http_request() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN
  INSERT INTO supabase_functions.hooks (hook_table_id, hook_name) VALUES (TG_RELID::integer, TG_NAME);
  RETURN NEW;
END $$;
ALTER FUNCTION supabase_functions.http_request OWNER TO supabase_functions_admin;
ALTER TABLE supabase_functions.hooks OWNER TO supabase_functions_admin;
GRANT USAGE ON SCHEMA supabase_functions TO supabase_functions_admin;
GRANT EXECUTE ON FUNCTION supabase_functions.http_request TO postgres, anon, authenticated, service_role;

CREATE SCHEMA vault AUTHORIZATION supabase_admin;
GRANT USAGE ON SCHEMA vault TO postgres, service_role;
CREATE TABLE vault.secrets (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(), name text, description text NOT NULL DEFAULT '', secret text NOT NULL, key_id uuid, nonce bytea,
  created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now());
CREATE UNIQUE INDEX secrets_name_idx ON vault.secrets (name) WHERE name IS NOT NULL;
-- Stands in for the extension's cipher: what one project's key has closed, no other opens.
CREATE FUNCTION vault._open(secret text) RETURNS text LANGUAGE sql SECURITY DEFINER AS
  $$ SELECT extensions.pgp_sym_decrypt(decode(secret, 'base64'), current_setting('stand_in.vault_root_key')) $$;
CREATE FUNCTION vault.create_secret(new_secret text, new_name text DEFAULT NULL, new_description text DEFAULT '', new_key_id uuid DEFAULT NULL)
  RETURNS uuid LANGUAGE sql SECURITY DEFINER AS
  $$ INSERT INTO vault.secrets (secret, name, description) VALUES (
       encode(extensions.pgp_sym_encrypt(new_secret, current_setting('stand_in.vault_root_key')), 'base64'), new_name, new_description)
     RETURNING id $$;
CREATE VIEW vault.decrypted_secrets AS
  SELECT id, name, description, secret, vault._open(secret) AS decrypted_secret, key_id, nonce, created_at, updated_at FROM vault.secrets;
REVOKE ALL ON FUNCTION vault._open, vault.create_secret FROM public;
GRANT EXECUTE ON FUNCTION vault._open, vault.create_secret TO postgres, service_role;
GRANT SELECT, DELETE ON vault.secrets, vault.decrypted_secrets TO postgres, service_role;

CREATE FUNCTION extensions.pgrst_ddl_watch() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN NOTIFY pgrst, 'reload schema'; END $$;
CREATE EVENT TRIGGER pgrst_ddl_watch ON ddl_command_end EXECUTE FUNCTION extensions.pgrst_ddl_watch();
CREATE PUBLICATION supabase_realtime;
ALTER PUBLICATION supabase_realtime OWNER TO postgres;
