-- The application's own types and first functions, owned by `postgres` like everything that follows.
SET ROLE postgres;
SET search_path = public, extensions;

CREATE TYPE app_role AS ENUM ('buyer', 'seller', 'mechanic', 'admin');
CREATE TYPE province AS ENUM (
  'Gauteng', 'Western Cape', 'KwaZulu-Natal', 'Eastern Cape', 'Free State',
  'Limpopo', 'Mpumalanga', 'North West', 'Northern Cape');
CREATE TYPE request_status AS ENUM ('draft', 'open', 'matched', 'closed', 'expired');
ALTER TYPE request_status ADD VALUE 'disputed' BEFORE 'closed';
CREATE TYPE part_condition AS ENUM ('new', 'refurbished', 'used', 'for parts');
CREATE TYPE order_status AS ENUM ('pending', 'paid', 'shipped', 'delivered', 'returned', 'cancelled');
CREATE TYPE channel AS ENUM ('push', 'email', 'sms', 'whatsapp');

CREATE DOMAIN sa_phone AS text CHECK (VALUE ~ '^\+27[0-9]{9}$');
CREATE DOMAIN vin AS varchar(17) CONSTRAINT vin_shape CHECK (VALUE ~ '^[A-HJ-NPR-Z0-9]{17}$');
CREATE DOMAIN cents AS bigint DEFAULT 0 NOT NULL CONSTRAINT cents_not_negative CHECK (VALUE >= 0);
COMMENT ON DOMAIN cents IS 'Rand, in cents';

CREATE TYPE address AS (street text, suburb text, city text, province province, postal_code char(4));
CREATE TYPE year_range AS RANGE (subtype = integer);
CREATE COLLATION name_order (provider = libc, locale = 'C');
COMMENT ON COLLATION name_order IS 'Byte order, for handles';

CREATE FUNCTION slugify(value text) RETURNS text
  LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
  SELECT trim(BOTH '-' FROM regexp_replace(lower(value), '[^a-z0-9]+', '-', 'g'))
$$;
COMMENT ON FUNCTION slugify(text) IS 'lower-case, words joined by dashes';

CREATE FUNCTION touch_updated_at() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  -- Only when a column really changed.
  IF row(NEW.*) IS DISTINCT FROM row(OLD.*) THEN
    NEW.updated_at := now();
  END IF;
  RETURN NEW;
END
$$;

CREATE FUNCTION vat_cents(subtotal bigint, rate numeric DEFAULT 0.15) RETURNS bigint
  LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN round(subtotal * rate)::bigint;

CREATE FUNCTION keep_longest(state text, value text) RETURNS text
  LANGUAGE sql IMMUTABLE AS $$ SELECT CASE WHEN length(value) > length(state) THEN value ELSE state END $$;
CREATE AGGREGATE longest(text) (SFUNC = keep_longest, STYPE = text, INITCOND = '');

-- Owned by no column: the accountant's numbers.
CREATE SEQUENCE invoice_number START 100000 INCREMENT 10 CACHE 20;
CREATE SEQUENCE credit_note_number AS integer INCREMENT -1 MINVALUE -5000 MAXVALUE -1 CYCLE;
RESET ROLE;
