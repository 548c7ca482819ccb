SET ROLE odd_owner;
ALTER TABLE rules.keys ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY "Pol.icy ""q""" ON rules.keys AS RESTRICTIVE FOR UPDATE TO "Odd ""Reader"", 😀 'x'", odd_writer
  USING (code.over(a) = 'int') WITH CHECK (b > 0 AND c <> ';''--');
CREATE POLICY p_all ON rules.keys USING (true);
GRANT USAGE ON SCHEMA rules, code TO "Odd ""Reader"", 😀 'x'" WITH GRANT OPTION;
GRANT SELECT (a, b), UPDATE (c) ON rules.keys TO "Odd ""Reader"", 😀 'x'";
GRANT SELECT, TRIGGER, TRUNCATE ON rules.node TO "Odd ""Reader"", 😀 'x'" WITH GRANT OPTION;
GRANT ALL ON shapes.by_list TO PUBLIC;
REVOKE ALL ON rules.loose FROM odd_owner;
GRANT USAGE ON SEQUENCE shapes.down TO odd_writer;
REVOKE USAGE ON TYPE types.floats FROM PUBLIC;
GRANT USAGE ON TYPE types."Mood's" TO odd_writer;
ALTER DEFAULT PRIVILEGES IN SCHEMA rules GRANT SELECT ON TABLES TO "Odd ""Reader"", 😀 'x'";
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
RESET ROLE;
-- Given on by who may only give on.
SET ROLE "Odd ""Reader"", 😀 'x'";
GRANT SELECT ON rules.node TO odd_writer;
RESET ROLE;
ALTER TABLE rules.node OWNER TO odd_owner;
ALTER ROLE odd_writer SET search_path = "Sch.ema ""q"" '1'; --", "$user", code;
DO $$ BEGIN
  EXECUTE format('ALTER ROLE odd_writer IN DATABASE %I SET work_mem = %L', current_database(), '7MB');
  EXECUTE format('ALTER DATABASE %I SET statement_timeout = %L', current_database(), '33s');
  EXECUTE format('COMMENT ON DATABASE %I IS %L', current_database(), 'it''s odd 😀');
END $$;
-- It keeps its owner, who may no longer create anything in its schema.
CREATE TABLE "Sch.ema ""q"" '1'; --".given (a int);
ALTER TABLE "Sch.ema ""q"" '1'; --".given OWNER TO odd_writer;
