SET ROLE odd_owner;
CREATE SCHEMA since_15;
CREATE TABLE since_15.t (a int, b int, UNIQUE NULLS NOT DISTINCT (a), FOREIGN KEY (a) REFERENCES since_15.t (a) ON DELETE SET NULL (a));
INSERT INTO since_15.t VALUES (1, 2), (NULL, 3);
CREATE VIEW since_15.invoker WITH (security_invoker) AS SELECT a FROM since_15.t;
CREATE TABLE since_15.scaled (n numeric(3, 5), s numeric(5, -2));
INSERT INTO since_15.scaled VALUES (0.00123, 12345);
RESET ROLE;
CREATE PUBLICATION filtered FOR TABLE since_15.t (a) WHERE (a > 0);
