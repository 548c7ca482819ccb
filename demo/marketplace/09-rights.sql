-- Row-level security as Supabase applications write it, and grants of every grain.
SET ROLE postgres;
SET search_path = public, extensions;

SELECT format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', c.oid::regclass)
  FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
   AND c.relname NOT IN ('price_list', 'dealer_price_list', 'search_cache', 'heartbeat') ORDER BY c.relname
\gexec
ALTER TABLE payout_accounts FORCE ROW LEVEL SECURITY;

CREATE POLICY "Profiles are visible to everyone who is logged in" ON profiles FOR SELECT TO authenticated USING (true);
CREATE POLICY "Users update their own profile" ON profiles FOR UPDATE TO authenticated
  USING ((SELECT auth.uid()) = id) WITH CHECK ((SELECT auth.uid()) = id);
CREATE POLICY "Shops are public" ON shops FOR SELECT TO anon, authenticated USING (verified);
CREATE POLICY "Owners manage their shop" ON shops TO authenticated USING (owner_id = (SELECT auth.uid()));
CREATE POLICY "Own vehicles" ON vehicles TO authenticated USING (owner_id = (SELECT auth.uid()));
CREATE POLICY "Open requests are public" ON part_requests FOR SELECT USING (status = 'open' OR requester_id = (SELECT auth.uid()));
CREATE POLICY "Buyers post requests" ON part_requests FOR INSERT TO authenticated WITH CHECK (requester_id = (SELECT auth.uid()));
CREATE POLICY "Offers to the buyer and the shop" ON offers FOR SELECT TO authenticated USING (
  EXISTS (SELECT 1 FROM part_requests r WHERE r.id = request_id AND r.requester_id = (SELECT auth.uid()))
  OR EXISTS (SELECT 1 FROM shops s WHERE s.id = shop_id AND s.owner_id = (SELECT auth.uid())));
CREATE POLICY "Own orders" ON orders FOR SELECT TO authenticated USING (buyer_id = (SELECT auth.uid()));
CREATE POLICY "Members read the chat" ON chats FOR SELECT TO authenticated USING (buyer_id = (SELECT auth.uid()));
CREATE POLICY "Members read messages" ON messages FOR SELECT TO authenticated
  USING (EXISTS (SELECT 1 FROM chats c WHERE c.id = chat_id AND c.buyer_id = (SELECT auth.uid())));
CREATE POLICY "Nobody rewrites history" ON messages AS RESTRICTIVE FOR UPDATE TO authenticated USING (sent_at > now() - interval '15 minutes');
CREATE POLICY "Own notifications" ON notifications TO authenticated USING (profile_id = (SELECT auth.uid()));
CREATE POLICY "Payouts for the owner" ON payout_accounts FOR SELECT TO authenticated
  USING (shop_id IN (SELECT id FROM shops WHERE owner_id = (SELECT auth.uid())));
COMMENT ON POLICY "Own orders" ON orders IS 'Sellers see theirs through shop_scores';

GRANT SELECT ON price_list, dealer_price_list TO api_partner;
REVOKE ALL ON payout_accounts FROM anon, authenticated;
GRANT SELECT (shop_id, bank) ON payout_accounts TO authenticated;
GRANT UPDATE (balance) ON payout_accounts TO service_role WITH GRANT OPTION;
REVOKE ALL ON audit_logs FROM anon, authenticated;
GRANT SELECT ON monthly_sales, shop_scores TO "Report Reader";
GRANT USAGE ON SEQUENCE invoice_number TO "Report Reader";
REVOKE EXECUTE ON FUNCTION handle_new_user() FROM PUBLIC, anon, authenticated;
REVOKE EXECUTE ON PROCEDURE expire_requests(bigint) FROM PUBLIC;
GRANT USAGE ON TYPE address TO api_partner;
GRANT USAGE ON SCHEMA public TO api_partner, "Report Reader";
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO "Report Reader";
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
RESET ROLE;

SET ROLE supabase_storage_admin;
CREATE POLICY "Anyone reads part images" ON storage.objects FOR SELECT USING (bucket_id = 'part-images');
CREATE POLICY "Users write to their own folder" ON storage.objects FOR INSERT TO authenticated
  WITH CHECK (bucket_id = 'avatars' AND (storage.foldername(name))[1] = (SELECT auth.uid())::text);
RESET ROLE;

-- What a backup needs, and nothing more: it reads all and changes nothing.
CREATE ROLE sparekeep_backup LOGIN NOSUPERUSER BYPASSRLS;
GRANT pg_read_all_data TO sparekeep_backup;
SELECT format('GRANT SELECT ON LARGE OBJECT %s TO sparekeep_backup', oid) FROM pg_largeobject_metadata ORDER BY oid
\gexec

SELECT format('ALTER DATABASE %I SET search_path = "$user", public, extensions', current_database())
\gexec
SELECT format('ALTER DATABASE %I SET "app.settings.jwt_exp" = ''3600''', current_database())
\gexec
SELECT format('ALTER ROLE service_role IN DATABASE %I SET statement_timeout = ''2min''', current_database())
\gexec
SELECT format('COMMENT ON DATABASE %I IS ''SpareLink-like marketplace of the demo''', current_database())
\gexec
