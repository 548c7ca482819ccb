SET max_parallel_workers_per_gather = 0;
-- Foreign keys hold by construction; the restore validates every one of them.
SET session_replication_role = replica;

INSERT INTO public.part_requests (id, requester_id, vehicle_id, title, description, part_numbers, fits, budget, status, created_at, updated_at, expires_at)
SELECT seed.id('request', n), seed.id('user', 1 + seed.h(n, 40) % (20000 * :scale)::int), 1 + seed.h(n, 41) % (15000 * :scale)::int,
    initcap(seed.pick(p.words, n, 42)) || ' for ' || seed.pick(m.words, n, 43) || ' ' || seed.pick(o.words, n, 44),
    seed.pick(f.words, n, 45) || E'\n' || seed.pick(f.words, n, 46) || CASE WHEN n % 500 = 0 THEN E'\ttab, back\\slash, \\N and NULL' ELSE '' END,
    ARRAY[upper(left(md5('pn' || n), 10)), upper(left(md5('pm' || n), 8))], int4range(2000 + (n % 20), 2006 + (n % 20))::text::public.year_range,
    CASE WHEN n % 9 = 0 THEN 'empty' WHEN n % 10 = 0 THEN NULL ELSE numrange(100 + n % 900, CASE WHEN n % 4 = 0 THEN NULL ELSE 2000 + n % 5000 END) END,
    (enum_range(NULL::public.request_status))[1 + seed.h(n, 47) % 6], seed.at(n, 48, 360), seed.at(n, 48, 360) + interval '3 hours', seed.at(n, 48, 360) + interval '30 days'
  FROM generate_series(1, (30000 * :scale)::int) AS n, seed.word p, seed.word m, seed.word o, seed.word f
 WHERE p.kind = 'part' AND m.kind = 'make' AND o.kind = 'model' AND f.kind = 'phrase';

INSERT INTO public.offers (request_id, shop_id, price, condition, warranty, note, valid, accepted_at)
SELECT seed.id('request', 1 + seed.h(n, 50) % (30000 * :scale)::int), 1000 + seed.h(n, 51) % (1200 * :scale)::int, 5000 + seed.h(n, 52) % 900000,
    (enum_range(NULL::public.part_condition))[1 + seed.h(n, 53) % 4],
    CASE n % 4 WHEN 0 THEN interval '6 months' WHEN 1 THEN interval '1 year 2 months 3 days 04:05:06.789' WHEN 2 THEN interval '-1 day' END,
    CASE WHEN n % 3 = 0 THEN seed.pick(f.words, n, 54) END,
    tstzrange(seed.at(n, 55, 300), CASE WHEN n % 8 = 0 THEN NULL ELSE seed.at(n, 55, 300) + interval '14 days' END, CASE WHEN n % 2 = 0 THEN '[)' ELSE '(]' END),
    CASE WHEN n % 6 = 0 THEN seed.at(n, 55, 300) + interval '2 days' END
  FROM generate_series(1, (70000 * :scale)::int) AS n, seed.word f WHERE f.kind = 'phrase';

INSERT INTO public.orders (created_at, buyer_id, shop_id, offer_id, status, subtotal, delivery, deliver_to, notes)
SELECT seed.at(n, 60, 380), seed.id('user', 1 + seed.h(n, 61) % (20000 * :scale)::int), 1000 + seed.h(n, 62) % (1200 * :scale)::int, 1 + seed.h(n, 63) % (70000 * :scale)::int,
    (enum_range(NULL::public.order_status))[1 + seed.h(n, 64) % 6], 5000 + seed.h(n, 65) % 900000, 9900,
    row(n || ' Long St', 'CBD', seed.pick(c.words, n, 66), 'Western Cape', NULL)::public.address, CASE WHEN n % 40 = 0 THEN '' WHEN n % 7 = 0 THEN 'Leave at gate' END
  FROM generate_series(1, (25000 * :scale)::int) AS n, seed.word c WHERE c.kind = 'city';
INSERT INTO public.order_items (order_id, order_created_at, line_no, part_number, description, quantity, unit_price)
SELECT o.id, o.created_at, line, upper(left(md5(o.id || '/' || line), 10)), initcap(seed.pick(p.words, o.id, 67 + line)), 1 + seed.h(o.id, line) % 4, 1000 + seed.h(o.id, 70 + line) % 200000
  FROM public.orders o, generate_series(1, 2) AS line, seed.word p WHERE p.kind = 'part';

INSERT INTO public.delivery_slots (shop_id, during, driver)
SELECT 1000 + n % (1200 * :scale)::int, tstzrange(t, t + interval '2 hours'), seed.pick(f.words, n, 75)
  FROM (SELECT n, timestamptz '2026-11-01 08:00+00' + (n / (1200 * :scale)::int) * interval '3 hours' AS t FROM generate_series(0, (6000 * :scale)::int - 1) AS n) AS slot,
       seed.word f WHERE f.kind = 'first';

-- Chunks of pseudo-random bytes, as JPEGs are to a compressor.
INSERT INTO public.part_images (request_id, object_name, thumbnail, checksum, size_px)
SELECT seed.id('request', n), format('requests/%s/%s.jpg', seed.id('request', n), n), t.bytes, sha256(t.bytes), '{320,240}'
  FROM generate_series(1, (3000 * :scale)::int) AS n,
       LATERAL (SELECT '\xffd8ffe000104a464946'::bytea || string_agg(sha256(int8send(n * 1000::bigint + i)), ''::bytea ORDER BY i) AS bytes
                  FROM generate_series(1, 160 + (n % 200)) AS i) AS t;
INSERT INTO storage.objects (id, bucket_id, name, owner, created_at, updated_at, last_accessed_at, metadata, version, owner_id)
SELECT seed.id('object', i.id), 'part-images', i.object_name, r.requester_id, r.created_at, r.created_at, r.created_at,
    jsonb_build_object('size', length(i.thumbnail), 'mimetype', 'image/jpeg', 'eTag', '"' || md5(i.thumbnail) || '"', 'cacheControl', 'max-age=3600'), seed.id('version', i.id)::text, r.requester_id::text
  FROM public.part_images i JOIN public.part_requests r ON r.id = i.request_id;

INSERT INTO public.payout_accounts
SELECT s.id, seed.pick(b.words, s.id, 80), lpad((seed.h(s.id, 81) % 10000000000)::text, 10, '0'),
    CASE s.id % 10 WHEN 0 THEN '-infinity' WHEN 1 THEN '0044-03-15 BC' ELSE '2025-03-01' END::date,
    CASE s.id % 50 WHEN 0 THEN 'NaN' WHEN 1 THEN '12345678901234567890.000000000001' ELSE (seed.h(s.id, 82) % 1000000) / 7.0 END::numeric,
    CASE s.id % 9 WHEN 0 THEN 'Infinity' WHEN 1 THEN 'NaN' WHEN 2 THEN '-0' WHEN 3 THEN 1e-310 ELSE sqrt(s.id) END, CASE s.id % 5 WHEN 0 THEN NULL ELSE s.id / 3.0 END
  FROM public.shops s, seed.word b WHERE b.kind = 'bank';
INSERT INTO public.search_cache SELECT 'query ' || n, ARRAY[n, n * 2], seed.at(n, 83, 3) FROM generate_series(1, 500) AS n;
INSERT INTO public.search_events
SELECT seed.at(n, 84, 30), (enum_range(NULL::public.province))[1 + seed.h(n, 85) % 9], CASE WHEN n % 50 = 0 THEN NULL ELSE seed.pick(p.words, n, 86) END
  FROM generate_series(1, (12000 * :scale)::int) AS n, seed.word p WHERE p.kind = 'part';
INSERT INTO public.price_list SELECT upper(left(md5('pl' || n), 8)), n * 100 FROM generate_series(1, 300) AS n;
INSERT INTO public.dealer_price_list SELECT upper(left(md5('dl' || n), 8)), n * 90, (n % 30) / 2.0 FROM generate_series(1, 300) AS n;
INSERT INTO public."Legacy Orders" VALUES
  (1, 'plain', DEFAULT, true), (2, E'tab\there', E'line\nbreak', false), (3, '\N', '\.', NULL), (4, '', E'carriage\rreturn', true), (5, NULL, '日本語 🚗', false);
INSERT INTO public.heartbeat SELECT FROM generate_series(1, 7);
SELECT setval('public.credit_note_number', -17, false);
