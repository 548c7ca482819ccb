-- Who owns the odd objects: ordinary roles, with names that need quotes.
CREATE ROLE odd_owner NOLOGIN;
CREATE ROLE "Odd ""Reader"", 😀 'x'" NOLOGIN;
CREATE ROLE odd_writer NOLOGIN;
GRANT "Odd ""Reader"", 😀 'x'" TO odd_writer;
CREATE EXTENSION btree_gist;
GRANT CREATE ON SCHEMA public TO odd_owner;
DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO odd_owner', current_database()); END $$;
