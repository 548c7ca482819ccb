/**
 * Debian starts a server of its own when PostgreSQL is installed, unless createcluster.conf says
 * `create_main_cluster = false` beforehand. Set-up must not leave a server behind.
 */

export const CREATECLUSTER_CONF = "/etc/postgresql-common/createcluster.conf";

const KEY = /^[ \t]*create_main_cluster[ \t]*=.*$/gm;
const LINE = "create_main_cluster = false";

/**
 * The file with that one key set and every other byte as it was; `undefined` is no file.
 * @param {string | undefined} text
 */
export function withoutMainCluster(text) {
  if (text === undefined || text === "") return `${LINE}\n`;
  if (isOff(text)) return text;
  if (text.search(KEY) >= 0) return text.replaceAll(KEY, LINE);
  return `${text}${text.endsWith("\n") ? "" : "\n"}${LINE}\n`;
}

/**
 * The same edit as a shell command that a person can read; empty where nothing is to be done.
 * @param {string | undefined} text
 * @param {string} [path]
 */
export function mainClusterCommand(text, path = CREATECLUSTER_CONF) {
  if (text !== undefined && withoutMainCluster(text) === text) return "";
  if (text !== undefined && text.search(KEY) >= 0)
    return `sed -i -E "s/^[[:blank:]]*create_main_cluster[[:blank:]]*=.*$/${LINE}/" ${path}`;
  const newline = text === undefined || text === "" || text.endsWith("\n") ? "" : "\\n";
  const folder = path.slice(0, path.lastIndexOf("/"));
  return `mkdir -p ${folder} && printf "${newline}${LINE}\\n" >> ${path}`;
}

/** @param {string} text */
function isOff(text) {
  const lines = text.match(KEY) ?? [];
  const values = lines.map((line) =>
    line
      .slice(line.indexOf("=") + 1)
      .trim()
      .replaceAll("'", ""),
  );
  return values.length > 0 && values.every((value) => /^(false|off|no|0)$/i.test(value));
}
