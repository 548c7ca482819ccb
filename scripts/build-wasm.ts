/**
 * Compiles wasm/*.ts (AssemblyScript) and writes each kernel's bytes into a committed module beside the code that uses
 * it. `--check` compares instead of writing. The test of the same name holds the bytes to their source.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { main as compileAssembly } from "assemblyscript/asc";

const ROOT = join(import.meta.dirname, "..");

interface Kernel {
  readonly source: string;
  readonly output: string;
  /** `instantiate<name>`, `<name>Kernel`. */
  readonly name: string;
}

export const KERNELS: readonly Kernel[] = [
  {
    source: "wasm/poly1305.ts",
    output: "src/repository/crypto/poly1305-kernel.generated.ts",
    name: "Poly1305",
  },
  {
    source: "wasm/gear.ts",
    output: "src/repository/chunker/gear-kernel.generated.ts",
    name: "Gear",
  },
  {
    source: "wasm/row-hash.ts",
    output: "src/manifest/row-hash-kernel.generated.ts",
    name: "RowHash",
  },
  {
    source: "wasm/copy-frames.ts",
    output: "src/postgres/copy-frames-kernel.generated.ts",
    name: "CopyFrames",
  },
];

/** Text of the generated module. */
export async function buildKernel(kernel: Kernel): Promise<string> {
  const bytes = await compile(kernel.source);
  return moduleText(kernel, bytes, signaturesOf(readFileSync(join(ROOT, kernel.source), "utf8")));
}

/** No run-time library: static memory alone, and a trap in place of an abort. */
const FLAGS = "--runtime stub --use abort= --optimizeLevel 3 --shrinkLevel 0 --converge --noAssert"
  .split(" ")
  .concat(["--enable", "simd", "--enable", "bulk-memory"])
  .concat(["--outFile", "kernel.wasm", "--baseDir", ROOT]);

async function compile(source: string): Promise<Uint8Array> {
  let binary: Uint8Array | undefined;
  const messages: string[] = [];
  const collect = { write: (text: string | Uint8Array) => messages.push(String(text)) > 0 };
  const { error } = await compileAssembly([source, ...FLAGS], {
    stdout: collect,
    stderr: collect,
    writeFile: (_name: string, contents: string | Uint8Array) => {
      if (typeof contents !== "string") binary = contents;
    },
  });
  if (error !== null || binary === undefined) {
    throw new Error(`${source} does not compile:\n${messages.join("")}`, { cause: error });
  }
  return binary;
}

const TYPES: Readonly<Record<string, string>> = {
  void: "void",
  i32: "number",
  u32: "number",
  usize: "number",
  bool: "number",
  i64: "bigint",
  u64: "bigint",
};

function typeOf(name: string): string {
  const type = TYPES[name];
  if (type === undefined) throw new Error(`type ${name} of an exported function`);
  return type;
}

/** What the module exports, as members of a TypeScript interface. */
function signaturesOf(source: string): string[] {
  return Array.from(source.matchAll(/^export function (\w+)\(([^)]*)\): (\w+)/gm), (match) => {
    const [, name = "", parameters = "", result = ""] = match;
    const typed = parameters
      .split(",")
      .map((parameter) => parameter.trim())
      .filter((parameter) => parameter !== "")
      .map((parameter) => {
        const [label = "", type = ""] = parameter.split(": ");
        return `${label}: ${typeOf(type)}`;
      });
    return `  ${name}(${typed.join(", ")}): ${typeOf(result)};`;
  });
}

function moduleText(kernel: Kernel, bytes: Uint8Array, signatures: readonly string[]): string {
  const base64 = Buffer.from(bytes).toString("base64");
  const lines = Array.from({ length: Math.ceil(base64.length / 112) }, (_, i) =>
    base64.slice(i * 112, (i + 1) * 112),
  );
  return `// Generated from ${kernel.source} by scripts/build-wasm.ts: do not edit.
// ${bytes.byteLength} bytes of WebAssembly.
const BYTES = \`
${lines.join("\n")}
\`;

export interface ${kernel.name}Kernel {
  readonly memory: { readonly buffer: ArrayBuffer };
${signatures.join("\n")}
}

let compiled: WebAssembly.Module | undefined;

/** A new instance with a memory of its own; the module is compiled once. */
export function instantiate${kernel.name}(): ${kernel.name}Kernel {
  compiled ??= new WebAssembly.Module(Buffer.from(BYTES, "base64"));
  return new WebAssembly.Instance(compiled).exports as unknown as ${kernel.name}Kernel;
}
`;
}

async function main(check: boolean): Promise<void> {
  for (const kernel of KERNELS) {
    const text = await buildKernel(kernel);
    const path = join(ROOT, kernel.output);
    if (!check) writeFileSync(path, text);
    else if (readFileSync(path, "utf8") !== text)
      throw new Error(`${kernel.output} is not ${kernel.source}`);
    console.log(`${kernel.output} ${check ? "matches" : "written"}`);
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  await main(process.argv.includes("--check"));
}
