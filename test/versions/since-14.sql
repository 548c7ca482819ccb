SET ROLE odd_owner;
CREATE SCHEMA since_14;
CREATE TABLE since_14.t (m int4multirange, c text COMPRESSION pglz, d types.floats_multirange);
INSERT INTO since_14.t VALUES ('{[1,3),[5,9)}', 'x', '{}');
CREATE FUNCTION since_14.standard(a int) RETURNS int LANGUAGE sql IMMUTABLE BEGIN ATOMIC SELECT a + 1; END;
CREATE PROCEDURE since_14.out_argument(a int, OUT b int) LANGUAGE plpgsql AS 'BEGIN b := a; END';
CREATE STATISTICS since_14.of_expression ON (lower(c)), m FROM since_14.t;
RESET ROLE;
GRANT pg_read_all_data TO odd_writer;
