-- The tables that SpareLink's strategy names, as their owner made them on the platform.
\set ON_ERROR_STOP on
CREATE TABLE public.profiles (id uuid PRIMARY KEY, name text NOT NULL, phone text);
CREATE TABLE public.shops (id int PRIMARY KEY, owner uuid NOT NULL REFERENCES public.profiles, name text NOT NULL);
CREATE TABLE public.part_requests (id int PRIMARY KEY, buyer uuid NOT NULL REFERENCES public.profiles, part text NOT NULL, note text);
CREATE TABLE public.offers (id int PRIMARY KEY, request int NOT NULL REFERENCES public.part_requests, shop int NOT NULL REFERENCES public.shops, price numeric(12, 2));
CREATE TABLE public.orders (id int PRIMARY KEY, offer int NOT NULL REFERENCES public.offers, paid numeric(12, 2) NOT NULL);
CREATE TABLE public.audit_logs (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, event_type text NOT NULL, description text, severity text,
  user_id uuid, ip_address inet, metadata jsonb, created_at timestamptz NOT NULL DEFAULT now());
ALTER TABLE public.profiles ENABLE ROW LEVEL SECURITY;
INSERT INTO public.profiles SELECT ('00000000-0000-4000-8000-' || lpad(i::text, 12, '0'))::uuid, 'User "' || i || '", Cape Town', NULL FROM generate_series(1, 40) AS i;
INSERT INTO public.shops SELECT i, ('00000000-0000-4000-8000-' || lpad(i::text, 12, '0'))::uuid, 'Shop ' || i FROM generate_series(1, 5) AS i;
INSERT INTO public.part_requests SELECT i, ('00000000-0000-4000-8000-' || lpad(i::text, 12, '0'))::uuid, 'alternator', E'two\nlines' FROM generate_series(1, 30) AS i;
INSERT INTO public.offers SELECT i, i, 1 + i % 5, i * 10 FROM generate_series(1, 30) AS i;
INSERT INTO public.orders SELECT i, i, i * 10 FROM generate_series(1, 20) AS i;
INSERT INTO public.audit_logs (event_type, description, ip_address, metadata)
  SELECT 'login', 'entry ' || i || ' ' || md5(i::text), '203.0.113.7', jsonb_build_object('n', i) FROM generate_series(1, 500) AS i;
