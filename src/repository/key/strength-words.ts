/** Passwords and parts of passwords that every list of guesses begins with, commonest first; four letters and more. */
export const COMMON_WORDS: readonly string[] = `
password passwort passwd passw0rd pass1234 letmein welcome admin administrator root toor login master secret changeme
default guest test testing tester demo sample example temp temporary backup restore restic sparekeep database postgres
postgresql supabase server system service production staging development monkey dragon football baseball basketball
soccer hockey superman batman spiderman princess sunshine shadow michael jennifer jessica jordan thomas charlie daniel
andrew matthew joshua robert william george hunter killer ginger pepper cookie cheese banana orange purple yellow silver
golden diamond starwars pokemon minecraft internet computer laptop google apple samsung microsoft windows linux ubuntu
debian docker amazon facebook whatever trustno iloveyou love lovely loveme babygirl angel heaven freedom liberty america
london berlin paris africa johannesburg capetown pretoria durban springbok bafana protea ubuntu company office business
money dollar euro rand bank credit account user username name hello hallo welkom willkommen geheim geheimnis wachtwoord
contrasena motdepasse senha parola sommer winter spring summer autumn january february march april june july august
september october november december monday tuesday wednesday thursday friday saturday sunday qwerty qwertz azerty asdf
zxcv correct horse battery staple correcthorsebatterystaple access private public keykey mykey storage bucket vault
cloud security secure security nothing forever family friend mother father sister brother school college university
`
  .trim()
  .split(/\s+/);

/** Pairs of letters that make up most of written text, and few of random letters. */
export const COMMON_PAIRS: ReadonlySet<string> = new Set(
  `th he in er an re on at en nd ti es or te of ed is it al ar st to nt ng se ha as ou io le ve co me de hi ri ro ic ne ea
   ra ce li ch ll be ma si om ur ca el ta la ns di fo ho pe ec pr no ct us ac ot il tr ly nc et ut ss so rs un lo wa ge ie
   wh ee wi em ad ol rt po we na ul ni ts mo ow pa im mi ai sh ir su id os iv ia am fi ci vi pl ig tu ev ld ry mp fe bl ab
   gh ty op wo sa ay ex ke fr oo av ag if ap gr od bo sp rd do uc bu ei ov by rm ep tt oc fa ef cu rn sc gi da yo cr cl du
   ga qu ue ff ba ey ls va um pp ua up lu go ht ru ug ds lt pi rc rr eg au ck ew mu br bi pt ak pu ui rg ib tl ny ki rk ys
   ob mm fu ph og ms ye ud mb ip ub oi rl gu dr hr cc tw ft wn nu af hu nn eo vo rv nf xp gn sm fl iz ok nl my gl aw ju oa
   sy sl ps jo lf nv je nk kn gs dy hy ze ks xt bs ik dd pt sk nj zi`.split(/\s+/),
);
