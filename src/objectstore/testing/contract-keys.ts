const SIGNS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
/** Signs that URLs, XML and signatures have their own ideas of; names that differ by their case or by what sorts between. */
export const GOOD_KEYS = [
  SIGNS,
  `data/${SIGNS}`,
  "a.b/..c/d..",
  "data/-",
  "data/_",
  "data/.x",
  "data-x/a",
  "data.x/a",
  "case/KEY",
  "case/key",
  "l".repeat(255),
  `${"deep/".repeat(178)}${"d".repeat(10)}`,
];

export const BAD_KEYS = [
  "",
  "/",
  "/config",
  "data/",
  "data//ab",
  ".",
  "..",
  "../config",
  "data/../../config",
  "data/./ab",
  "a b",
  "a\\b",
  "a\0b",
  "a\nb",
  "ä",
  "~tmp",
  "a".repeat(256),
  `${"abcdefghi/".repeat(95)}x`,
];
