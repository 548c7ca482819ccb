/** The part of OpenAPI 3.0's schema that the descriptions in this folder use. A keyword that it does not know is an error. */
export interface Schema {
  readonly type?: "object" | "array" | "string" | "integer" | "number" | "boolean";
  readonly nullable?: boolean;
  readonly enum?: readonly unknown[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | Schema;
  readonly items?: Schema;
  readonly oneOf?: readonly Schema[];
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly pattern?: string;
  readonly format?: "uuid" | "date-time" | "int64";
}

const KNOWN = [
  ["type", "nullable", "enum", "properties", "required", "additionalProperties", "items"],
  ["oneOf", "minLength", "maxLength", "minimum", "maximum", "pattern", "format"],
].flat();

/** What of `value` is not as `schema` says; empty when it fits. */
export function schemaViolations(schema: Schema, value: unknown, path = ""): readonly string[] {
  const unknown = Object.keys(schema).filter((key) => !KNOWN.includes(key));
  if (unknown.length > 0) throw new Error(`schema keyword ${unknown.join(", ")} at ${path}`);
  const wrong = (what: string): readonly string[] => [`${path === "" ? "." : path}: ${what}`];
  if (value === null && schema.nullable === true) return [];
  if (schema.enum !== undefined && !schema.enum.includes(value)) return wrong("not of the enum");
  if (schema.oneOf !== undefined) {
    const fitting = schema.oneOf.filter((one) => schemaViolations(one, value, path).length === 0);
    if (fitting.length !== 1) return wrong(`${fitting.length} of oneOf fit`);
  }
  switch (schema.type) {
    case undefined:
      return [];
    case "object":
      return isObject(value) ? objectViolations(schema, value, path) : wrong("no object");
    case "array":
      return Array.isArray(value)
        ? value.flatMap((item: unknown, i) =>
            schemaViolations(schema.items ?? {}, item, `${path}[${i}]`),
          )
        : wrong("no array");
    case "string":
      return typeof value === "string" ? textViolations(schema, value, wrong) : wrong("no string");
    case "boolean":
      return typeof value === "boolean" ? [] : wrong("no boolean");
    default:
      return numberViolations(schema, value, wrong);
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function objectViolations(
  schema: Schema,
  value: Readonly<Record<string, unknown>>,
  path: string,
): readonly string[] {
  const { properties = {}, required = [], additionalProperties = true } = schema;
  const missing = required
    .filter((key) => value[key] === undefined)
    .map((key) => `${path}.${key}: missing`);
  const inner = Object.entries(value).flatMap(([key, item]) => {
    if (item === undefined) return [];
    const known = properties[key];
    if (known !== undefined) return schemaViolations(known, item, `${path}.${key}`);
    if (additionalProperties === false) return [`${path}.${key}: not described`];
    return additionalProperties === true
      ? []
      : schemaViolations(additionalProperties, item, `${path}.${key}`);
  });
  return [...missing, ...inner];
}

type Wrong = (what: string) => readonly string[];

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

function textViolations(schema: Schema, value: string, wrong: Wrong): readonly string[] {
  const { minLength = 0, maxLength = Infinity, pattern, format } = schema;
  if (value.length < minLength || value.length > maxLength) return wrong("length");
  if (pattern !== undefined && !new RegExp(pattern).test(value)) return wrong("pattern");
  if (format === "uuid" && !UUID.test(value)) return wrong("no uuid");
  if (format === "date-time" && Number.isNaN(Date.parse(value))) return wrong("no date-time");
  return [];
}

function numberViolations(schema: Schema, value: unknown, wrong: Wrong): readonly string[] {
  if (typeof value !== "number") return wrong("no number");
  if (schema.type === "integer" && !Number.isSafeInteger(value)) return wrong("no integer");
  const { minimum = -Infinity, maximum = Infinity } = schema;
  return value < minimum || value > maximum ? wrong("out of bounds") : [];
}
