-- The largest tables: chat, audit, notifications.
SET max_parallel_workers_per_gather = 0;
-- Foreign keys hold by construction; the restore validates every one of them.
SET session_replication_role = replica;

INSERT INTO public.chats (request_id, buyer_id, shop_id, created_at)
SELECT seed.id('request', 1 + seed.h(n, 100) % (30000 * :scale)::int), seed.id('user', 1 + seed.h(n, 101) % (20000 * :scale)::int),
    1000 + seed.h(n, 102) % (1200 * :scale)::int, seed.at(n, 103, 300)
  FROM generate_series(1, (25000 * :scale)::int) AS n;
INSERT INTO public.messages (chat_id, sender_id, body, attachments, sent_at, read_at)
SELECT 1 + seed.h(n, 110) % (25000 * :scale)::int, seed.id('user', 1 + seed.h(n, 111) % (20000 * :scale)::int),
    seed.pick(f.words, n, 112) || ' ' || seed.pick(f.words, n, 113) || ' ' || seed.pick(f.words, n, 114)
      || CASE WHEN n % 3 = 0 THEN ' Ref ' || md5(n::text) ELSE '' END || CASE WHEN n % 4 = 0 THEN E'\n' || seed.pick(f.words, n, 115) ELSE '' END,
    CASE WHEN n % 12 = 0 THEN jsonb_build_array(jsonb_build_object('name', md5('f' || n) || '.jpg', 'bytes', seed.h(n, 116) % 3000000)) END,
    timestamptz '2026-01-14 05:00:00+00' + n * interval '97.31 seconds' / :scale, CASE WHEN n % 5 <> 0 THEN timestamptz '2026-01-14 06:00:00+00' + n * interval '97.31 seconds' / :scale END
  FROM generate_series(1, (260000 * :scale)::int) AS n, seed.word f WHERE f.kind = 'phrase';
UPDATE public.chats c SET last_message_id = m.id
  FROM (SELECT chat_id, max(id) AS id FROM public.messages GROUP BY chat_id) AS m
 WHERE m.chat_id = c.id AND c.id % 4 <> 0;

INSERT INTO public.audit_logs (at, actor_id, action, entity, entity_id, before, after, ip, agent)
SELECT timestamptz '2026-02-01 00:00+00' + n * interval '4 minutes', CASE WHEN n % 20 <> 0 THEN seed.id('user', 1 + seed.h(n, 120) % (20000 * :scale)::int) END,
    seed.pick('{create,update,delete,login,export}', n, 121), seed.pick('{part_requests,offers,orders,profiles,shops}', n, 122), seed.h(n, 123)::text,
    CASE WHEN n % 3 = 0 THEN jsonb_build_object('status', seed.pick('{draft,open,matched}', n, 124), 'price', seed.h(n, 125) % 100000, 'tags', jsonb_build_array('a', 1, NULL)) END,
    format('{"status" : "%s",  "price":%s.50, "status": "%s"}', seed.pick('{open,closed}', n, 126), seed.h(n, 127) % 100000, seed.pick('{paid,sent}', n, 128))::json,
    CASE WHEN n % 10 = 0 THEN '2c0f:f4c0::1/64'::inet ELSE ('41.' || n % 250 || '.' || n / 250 % 250 || '.9')::inet END, seed.pick(w.words, n, 129)
  FROM generate_series(1, (90000 * :scale)::int) AS n, seed.word w WHERE w.kind = 'agent';

INSERT INTO public.notifications (profile_id, channels, payload, sent_at, read_at)
SELECT seed.id('user', 1 + seed.h(n, 130) % (20000 * :scale)::int),
    CASE n % 4 WHEN 0 THEN '{push}' WHEN 1 THEN '{push,email}' WHEN 2 THEN '{whatsapp,sms}' ELSE '{}' END::public.channel[],
    jsonb_build_object('kind', seed.pick('{offer,message,order,reminder}', n, 131), 'title', seed.pick(f.words, n, 132), 'target', seed.id('request', 1 + seed.h(n, 133) % (30000 * :scale)::int)),
    seed.at(n, 134, 90), CASE WHEN n % 3 = 0 THEN seed.at(n, 134, 90) + interval '10 minutes' END
  FROM generate_series(1, (70000 * :scale)::int) AS n, seed.word f WHERE f.kind = 'phrase';

-- Contracts that a former developer kept as large objects.
SELECT lo_from_bytea(48000 + n, convert_to(repeat(format(E'Dealer agreement %s, page %s\n', n, n * 7), 400 * n), 'UTF8')) FROM generate_series(1, 4) AS n;
SELECT lo_from_bytea(48010, ''::bytea);
SELECT format('ALTER LARGE OBJECT %s OWNER TO postgres', oid) FROM pg_largeobject_metadata ORDER BY oid
\gexec
GRANT SELECT ON LARGE OBJECT 48001 TO service_role;
GRANT SELECT, UPDATE ON LARGE OBJECT 48002 TO authenticated WITH GRANT OPTION;
COMMENT ON LARGE OBJECT 48001 IS 'Dealer agreement';
