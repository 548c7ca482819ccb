-- Views, functions, triggers and indexes: after the data, as an application's years of migrations leave them.
DROP SCHEMA seed CASCADE;
SET ROLE postgres;
SET search_path = public, extensions;

CREATE INDEX profiles_search ON profiles USING gin (search);
CREATE UNIQUE INDEX profiles_email ON profiles (email);
CREATE UNIQUE INDEX shops_slug ON shops (lower(slug)) INCLUDE (name);
CREATE INDEX shops_categories ON shops USING gin (categories) WITH (fastupdate = off);
CREATE INDEX shops_geo ON shops USING gist (geo);
CREATE INDEX vehicles_owner ON vehicles USING hash (owner_id);
CREATE INDEX vehicles_attributes ON vehicles USING gin (attributes jsonb_path_ops);
CREATE INDEX part_requests_open ON part_requests (created_at DESC NULLS LAST) WHERE status = 'open';
CREATE INDEX part_requests_search ON part_requests USING gin (search);
CREATE INDEX offers_request ON offers (request_id, price);
CREATE INDEX offers_valid ON offers USING gist (valid);
CREATE INDEX orders_buyer ON orders (buyer_id, created_at DESC);
CREATE INDEX messages_chat ON messages (chat_id, sent_at);
CREATE INDEX messages_unread ON messages (chat_id) WHERE read_at IS NULL;
CREATE INDEX audit_logs_at ON audit_logs USING brin (at) WITH (pages_per_range = 32);
CREATE INDEX audit_logs_entity ON audit_logs (entity, (after ->> 'status'));
CREATE INDEX notifications_unread ON notifications (profile_id, (payload ->> 'kind')) WHERE read_at IS NULL;
CREATE INDEX "Odd ""Index"" Name" ON "Legacy Orders" ("select" COLLATE "C" text_pattern_ops);
SELECT count(*) = 1 AS has_contrib FROM pg_extension WHERE extname = 'pg_trgm' \gset
\if :has_contrib
CREATE INDEX part_requests_title_trgm ON part_requests USING gin (title gin_trgm_ops);
\endif
ALTER TABLE offers CLUSTER ON offers_request;
COMMENT ON INDEX messages_unread IS 'For the badge';
ALTER TABLE offers ADD CONSTRAINT offers_price_sane CHECK (price < 100000000) NOT VALID;
COMMENT ON CONSTRAINT offers_price_sane ON offers IS 'Not valid: three old rows were dearer';

CREATE VIEW open_requests AS
  SELECT r.id, r.title, r.created_at, p.handle, (p.home).province, count(o.id) AS offers
    FROM part_requests r JOIN profiles p ON p.id = r.requester_id LEFT JOIN offers o ON o.request_id = r.id
   WHERE r.status = 'open' GROUP BY r.id, p.id;
SELECT :SERVER_VERSION_NUM >= 150000 AS has_15 \gset
\if :has_15
ALTER VIEW open_requests SET (security_invoker = true);
\endif
CREATE VIEW shop_scores AS
  SELECT s.id, s.name, s.rating, (SELECT count(*) FROM orders o WHERE o.shop_id = s.id AND o.status = 'delivered') AS delivered FROM shops s;
CREATE VIEW gauteng_requests AS SELECT * FROM open_requests WHERE province = 'Gauteng';
CREATE VIEW editable_profiles AS SELECT id, handle, full_name FROM profiles WHERE role <> 'admin' WITH LOCAL CHECK OPTION;
COMMENT ON VIEW shop_scores IS 'For the landing page';

CREATE MATERIALIZED VIEW monthly_sales AS
  SELECT date_trunc('month', created_at AT TIME ZONE 'UTC') AS month, shop_id, count(*) AS orders, sum(subtotal) AS cents
    FROM orders WHERE status <> 'cancelled' GROUP BY 1, 2;
CREATE UNIQUE INDEX monthly_sales_key ON monthly_sales (month, shop_id);
CREATE MATERIALIZED VIEW best_month AS
  SELECT DISTINCT ON (shop_id) shop_id, month, cents FROM monthly_sales ORDER BY shop_id, cents DESC, month;
CREATE MATERIALIZED VIEW never_filled AS SELECT province, count(*) FROM search_events GROUP BY 1 WITH NO DATA;
COMMENT ON MATERIALIZED VIEW monthly_sales IS 'Refreshed at night';

CREATE FUNCTION handle_new_user() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  INSERT INTO public.profiles (id, handle, email, full_name)
  VALUES (NEW.id, 'user_' || replace(NEW.id::text, '-', ''), NEW.email, coalesce(NEW.raw_user_meta_data ->> 'full_name', ''));
  RETURN NEW;
END
$$;
CREATE FUNCTION audit_change() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
-- This line must survive: -- and so must 'quotes' and $1.
BEGIN
  INSERT INTO audit_logs (at, actor_id, action, entity, entity_id, before, after)
  VALUES (clock_timestamp(), auth.uid(), lower(TG_OP), TG_TABLE_NAME, NULL, to_jsonb(OLD), to_json(NEW));
  RETURN NULL;
END
$$;
CREATE FUNCTION remember_last_message() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE chats SET last_message_id = NEW.id WHERE id = NEW.chat_id;
  RETURN NULL;
END
$$;
CREATE FUNCTION search_parts(words text, VARIADIC provinces province[] DEFAULT '{}')
  RETURNS TABLE (id uuid, title text, rank real) LANGUAGE sql STABLE ROWS 50 AS $$
  SELECT r.id, r.title, ts_rank(r.search, websearch_to_tsquery('english', words))
    FROM part_requests r JOIN profiles p ON p.id = r.requester_id
   WHERE r.search @@ websearch_to_tsquery('english', words)
     AND (provinces = '{}' OR (p.home).province = ANY (provinces))
   ORDER BY 3 DESC LIMIT 50
$$;
CREATE PROCEDURE expire_requests(INOUT expired bigint DEFAULT 0) LANGUAGE plpgsql AS $$
BEGIN
  UPDATE part_requests SET status = 'expired' WHERE status = 'open' AND expires_at < now();
  GET DIAGNOSTICS expired = ROW_COUNT;
END
$$;
CREATE FUNCTION same_part(a text, b text) RETURNS boolean LANGUAGE sql IMMUTABLE AS
  $$ SELECT replace(upper(a), '-', '') = replace(upper(b), '-', '') $$;
CREATE OPERATOR ~~~ (LEFTARG = text, RIGHTARG = text, FUNCTION = same_part, COMMUTATOR = ~~~);
CREATE TEXT SEARCH CONFIGURATION parts (COPY = english);
ALTER TEXT SEARCH CONFIGURATION parts ALTER MAPPING FOR asciiword WITH simple;

CREATE TRIGGER on_auth_user_created AFTER INSERT ON auth.users FOR EACH ROW EXECUTE FUNCTION handle_new_user();
CREATE TRIGGER touch BEFORE UPDATE ON profiles FOR EACH ROW EXECUTE FUNCTION touch_updated_at();
CREATE TRIGGER touch BEFORE UPDATE ON part_requests FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION touch_updated_at();
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON orders FOR EACH ROW EXECUTE FUNCTION audit_change();
CREATE TRIGGER audit AFTER UPDATE OF price, accepted_at ON offers FOR EACH ROW EXECUTE FUNCTION audit_change();
CREATE CONSTRAINT TRIGGER last_message AFTER INSERT ON messages DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION remember_last_message();
ALTER TABLE offers DISABLE TRIGGER audit;
ALTER TABLE profiles ENABLE ALWAYS TRIGGER touch;
COMMENT ON TRIGGER last_message ON messages IS 'At commit, once the chat is complete';
CREATE RULE no_delete AS ON DELETE TO price_list DO INSTEAD NOTHING;
RESET ROLE;
