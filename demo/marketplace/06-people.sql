-- Data that is the same on every machine: everything hangs on the hash of a number, nothing on a clock or on chance.
SET max_parallel_workers_per_gather = 0;
-- Foreign keys hold by construction; the restore validates every one of them.
SET session_replication_role = replica;
CREATE SCHEMA seed;
CREATE FUNCTION seed.h(n bigint, salt bigint) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE
  AS $$ SELECT hashint8extended(n, salt) & 4611686018427387903 $$;
CREATE FUNCTION seed.id(kind text, n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE
  AS $$ SELECT md5(kind || n)::uuid $$;
CREATE FUNCTION seed.pick(words text[], n bigint, salt bigint) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
  AS $$ SELECT words[1 + (hashint8extended(n, salt) & 4611686018427387903) % array_length(words, 1)] $$;
CREATE FUNCTION seed.at(n bigint, salt bigint, days int) RETURNS timestamptz LANGUAGE sql IMMUTABLE PARALLEL SAFE
  AS $$ SELECT timestamptz '2026-11-10 06:00:00+00'
          - ((hashint8extended(n, salt) & 4611686018427387903) % (days * 86400000000)) * interval '1 microsecond' $$;
CREATE TABLE seed.word (kind text PRIMARY KEY, words text[]);
INSERT INTO seed.word VALUES
  ('first', '{Thabo,Lerato,Sipho,Nomsa,Johan,Anelize,Pieter,Zanele,Kagiso,Ayanda,Mohammed,Fatima,Priya,Rajesh,Grace,Tshepo,Marlene,Willem,Busisiwe,Andile,Chantelle,Dumisani,Elsabé,François,Lindiwe,Marné}'),
  ('last', '{Nkosi,Dlamini,van der Merwe,Botha,Naidoo,Pillay,Mokoena,Khumalo,Smith,Jacobs,Mahlangu,Ndlovu,Pretorius,Govender,Sithole,Fourie,Maluleke,Zulu,Adams,du Plessis,O''Brien,Müller}'),
  ('city', '{Johannesburg,Pretoria,Cape Town,Durban,Gqeberha,Bloemfontein,Polokwane,Mbombela,Rustenburg,Kimberley,Stellenbosch,Soweto}'),
  ('part', '{alternator,brake disc,brake pads,clutch kit,control arm,CV joint,cylinder head,door mirror,fuel pump,gearbox,head lamp,ignition coil,injector,radiator,shock absorber,starter motor,steering rack,tail lamp,tie rod end,turbocharger,water pump,wheel bearing,wiper motor,front bumper,bonnet}'),
  ('make', '{Toyota,Volkswagen,Ford,Nissan,Hyundai,Isuzu,Suzuki,Renault,BMW,Mercedes-Benz}'),
  ('model', '{Hilux,Polo Vivo,Ranger,NP200,i20,D-Max,Swift,Kwid,320d,C 180,Corolla Quest,Fortuner,Figo,Amarok}'),
  ('phrase', '{"Is it still available?","I can collect on Saturday morning.","Please send a photo of the part number on the casting.","It fits 2014 to 2019 only, the plug is different after that.","We have it in stock at the Germiston branch.","Price includes VAT, delivery by courier is extra.","The one you sent has the wrong connector, four pins not six.","Ek stuur vir jou ''n foto sodra die winkel oopmaak.","Ngiyabonga, I will pay by EFT now.","Warranty is six months on refurbished units.","Can you do R200 less for cash?","Tested on the bench last week, output is 14.1 V.","The seal leaks a little; a new one costs R85.","My mechanic says the bearing is worn as well.","Courier tracking number follows in an hour.","Sorry for the late answer, load shedding again 😅","Genuine, not pirate: the hologram is on the box.","Which engine code? 1.6 CLSA or CLSB?","Return it within seven days if it does not fit.","Only the left side, the right one was sold yesterday."}'),
  ('bank', '{Absa,Capitec,FNB,Nedbank,Standard Bank,TymeBank}'),
  ('agent', '{"Mozilla/5.0 (Linux; Android 14; SM-A155F) AppleWebKit/537.36 Chrome/128.0 Mobile Safari/537.36","Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 Version/18.1 Mobile/15E148 Safari/604.1","Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/130.0 Safari/537.36"}');

INSERT INTO auth.users (instance_id, id, aud, role, email, encrypted_password, email_confirmed_at, last_sign_in_at,
    raw_app_meta_data, raw_user_meta_data, is_super_admin, created_at, updated_at, phone, phone_confirmed_at, confirmation_token)
SELECT '00000000-0000-0000-0000-000000000000', seed.id('user', n), 'authenticated', 'authenticated',
    format('user%s@example.co.za', n), '$2a$10$' || left(translate(encode(sha256(n::text::bytea), 'base64'), '+=', './') || md5(n::text), 53),
    seed.at(n, 1, 600), seed.at(n, 2, 30),
    '{"provider": "email", "providers": ["email"]}',
    jsonb_build_object('full_name', seed.pick(f.words, n, 3) || ' ' || seed.pick(l.words, n, 4), 'locale', CASE WHEN n % 3 = 0 THEN 'af-ZA' ELSE 'en-ZA' END),
    false, seed.at(n, 1, 600) - interval '5 minutes', seed.at(n, 2, 30),
    CASE WHEN n % 4 <> 0 THEN format('+27%s', 600000000 + n) END, CASE WHEN n % 5 = 0 THEN seed.at(n, 6, 500) END, md5('token' || n)
  FROM generate_series(1, (20000 * :scale)::int) AS n, seed.word f, seed.word l
 WHERE f.kind = 'first' AND l.kind = 'last';

INSERT INTO auth.identities (provider_id, user_id, identity_data, provider, last_sign_in_at, created_at, updated_at, id)
SELECT id, id, jsonb_build_object('sub', id, 'email', upper(email), 'email_verified', true), 'email', last_sign_in_at, created_at, updated_at, md5('identity' || id)::uuid
  FROM auth.users;
INSERT INTO auth.sessions (id, user_id, created_at, updated_at, aal, refreshed_at, user_agent, ip)
SELECT seed.id('session', n), seed.id('user', n), seed.at(n, 7, 20), seed.at(n, 8, 5), 'aal1', seed.at(n, 8, 5) AT TIME ZONE 'UTC',
    seed.pick(w.words, n, 9), ('105.' || n % 256 || '.' || n / 256 % 256 || '.7')::inet
  FROM generate_series(1, (8000 * :scale)::int) AS n, seed.word w WHERE w.kind = 'agent';
INSERT INTO auth.refresh_tokens (instance_id, token, user_id, revoked, created_at, updated_at, session_id)
SELECT '00000000-0000-0000-0000-000000000000', left(md5('r' || n), 22), seed.id('user', 1 + (n - 1) % (8000 * :scale)::int), n % 3 <> 0, seed.at(n, 10, 20), seed.at(n, 11, 5),
    seed.id('session', 1 + (n - 1) % (8000 * :scale)::int)
  FROM generate_series(1, (16000 * :scale)::int) AS n;

INSERT INTO public.profiles (id, handle, email, full_name, phone, role, home, preferences, created_at, updated_at)
SELECT u.id, 'user_' || n, u.email, u.raw_user_meta_data ->> 'full_name', u.phone,
    (CASE WHEN n % 16 = 0 THEN 'seller' WHEN n % 23 = 0 THEN 'mechanic' WHEN n = 1 THEN 'admin' ELSE 'buyer' END)::public.app_role,
    CASE WHEN n % 7 <> 0 THEN row(n % 300 || ' Main Rd', 'Ext ' || n % 9, seed.pick(c.words, n, 12), (enum_range(NULL::public.province))[1 + seed.h(n, 13) % 9], lpad((n % 9999)::text, 4, '0'))::public.address END,
    jsonb_build_object('language', CASE WHEN n % 3 = 0 THEN 'af' ELSE 'en' END, 'alerts', n % 2 = 0, 'radius_km', seed.h(n, 14) % 200),
    u.created_at, u.updated_at
  FROM generate_series(1, (20000 * :scale)::int) AS n JOIN auth.users u ON u.id = seed.id('user', n), seed.word c WHERE c.kind = 'city';

INSERT INTO public.shops (owner_id, name, slug, location, categories, opening_hours, rating, geo, verified, created_at)
SELECT seed.id('user', n * 16), seed.pick(l.words, n, 15) || ' Auto Spares ' || n, public.slugify(seed.pick(l.words, n, 15) || ' Auto Spares ' || n),
    row(n || ' Industria St', NULL, seed.pick(c.words, n, 16), (enum_range(NULL::public.province))[1 + seed.h(n, 17) % 9], '2001')::public.address,
    ARRAY[seed.pick(p.words, n, 18), seed.pick(p.words, n, 19)], '{"mon-fri": ["07:30", "17:00"], "sat": ["08:00", "13:00"], "sun": null}',
    (seed.h(n, 20) % 501) / 100.0, point(-34.0 + (seed.h(n, 21) % 1000000) / 85000.0, 18.4 + (seed.h(n, 22) % 1000000) / 77000.0), n % 3 <> 0, seed.at(n, 23, 500)
  FROM generate_series(1, (1200 * :scale)::int) AS n, seed.word l, seed.word c, seed.word p
 WHERE l.kind = 'last' AND c.kind = 'city' AND p.kind = 'part';
UPDATE public.profiles p SET default_shop_id = s.id FROM public.shops s WHERE s.owner_id = p.id;

INSERT INTO public.vehicles (owner_id, vin, make, model, year, mileage_km, attributes, mot_until)
SELECT seed.id('user', 1 + seed.h(n, 24) % (20000 * :scale)::int), CASE WHEN n % 5 <> 0 THEN translate(upper(left(md5('vin' || n), 17)), 'IOQ', 'XYZ') END,
    seed.pick(m.words, n, 25), seed.pick(o.words, n, 26), 1992 + seed.h(n, 27) % 34, seed.h(n, 28) % 400000,
    jsonb_build_object('engine', left(md5('e' || n), 4), 'colour', seed.pick('{white,silver,red,blue,"charcoal grey"}', n, 29), 'extras', jsonb_build_array(n % 4, NULL, n % 2 = 0)),
    CASE WHEN n % 11 = 0 THEN 'infinity' ELSE date '2026-01-01' + (seed.h(n, 30) % 700)::int END
  FROM generate_series(1, (15000 * :scale)::int) AS n, seed.word m, seed.word o WHERE m.kind = 'make' AND o.kind = 'model';
