/**
 * Names of portable dumps. A template holds `{date}` and perhaps `{time}`; the rest is letters, digits, dots, dashes and
 * underscores, so that a name is a key of every store and can name no other place. Pure. docs/spec/dump.md §names
 */

const PLACEHOLDER = /\{([^{}]*)\}/g;
const LITERAL = /^[A-Za-z0-9._-]*$/;
const MAX_LENGTH = 200;
/** Of the file that lies beside each dump (src/manifest/dump-manifest.ts, which this layer may not import). */
const MANIFEST_SUFFIX = ".manifest.json";

const PLACEHOLDERS: Readonly<Record<string, string>> = { date: "20260117", time: "020000" };

interface Problem {
  readonly message: string;
  readonly fix: string;
}

export function dumpNameProblem(template: string): Problem | undefined {
  const known = "{date} and {time}";
  const unknown = [...template.matchAll(PLACEHOLDER)]
    .map(([, name = ""]) => name)
    .find((name) => !Object.hasOwn(PLACEHOLDERS, name));
  if (unknown !== undefined) {
    return { message: `the unknown placeholder {${unknown}}`, fix: `Use ${known}.` };
  }
  const rest = template.replaceAll(PLACEHOLDER, "");
  if (rest.includes("/")) {
    return {
      message: "a name with a slash",
      fix: "Put the folder into the url of the destination.",
    };
  }
  if (template.startsWith(".") || template.includes("..")) {
    return { message: "a name that is hidden or leads elsewhere", fix: "Begin with a letter." };
  }
  if (!LITERAL.test(rest)) {
    return {
      message: "a name of unusual characters",
      fix: `Use letters, digits, dots, dashes and underscores, besides ${known}.`,
    };
  }
  if (!template.includes("{date}")) {
    return {
      message: "a name without {date}, which every run would share",
      fix: 'Write for example "shop_{date}.dump.gpg".',
    };
  }
  if (template.length > MAX_LENGTH || template.endsWith(MANIFEST_SUFFIX)) {
    return {
      message: `a name of more than ${MAX_LENGTH} characters, or that of a manifest`,
      fix: 'Write for example "shop_{date}.dump.gpg".',
    };
  }
  return undefined;
}

/** `{date}` is 20260117, `{time}` 020000, on the wall clocks of `timezone`. */
export function dumpName(template: string, at: Date, timezone: string): string {
  const parts = new Map(
    new Intl.DateTimeFormat("en-CA", {
      timeZone: timezone,
      calendar: "iso8601",
      numberingSystem: "latn",
      hourCycle: "h23",
      year: "numeric",
      month: "2-digit",
      day: "2-digit",
      hour: "2-digit",
      minute: "2-digit",
      second: "2-digit",
    })
      .formatToParts(at)
      .map(({ type, value }) => [type, value]),
  );
  const joined = (names: readonly Intl.DateTimeFormatPartTypes[]): string =>
    names.map((name) => parts.get(name) ?? "").join("");
  return template
    .replaceAll("{date}", joined(["year", "month", "day"]))
    .replaceAll("{time}", joined(["hour", "minute", "second"]));
}

/** Every name that the template gives. */
export function dumpNamePattern(template: string): RegExp {
  const source = template
    .replaceAll(".", String.raw`\.`)
    .replaceAll("{date}", String.raw`\d{8}`)
    .replaceAll("{time}", String.raw`\d{6}`);
  return new RegExp(`^${source}$`);
}
