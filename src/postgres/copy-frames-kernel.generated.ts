// Generated from wasm/copy-frames.ts by scripts/build-wasm.ts: do not edit.
// 622 bytes of WebAssembly.
const BYTES = `
AGFzbQEAAAABDAJgAAF/YAN/f38BfwMKCQEAAAAAAAAAAAUDAQAEBhUEfwFBAAt/AUEAC38BQQALfwFBAAsHcwoFaW5wdXQACAppbnB1dEJ5dGVz
AAcHcGF5bG9hZAACCG1lc3NhZ2VzAAYMcGF5bG9hZEJ5dGVzAAENbWVzc2FnZXNCeXRlcwAFCW9wZW5CeXRlcwAECm9wZW5Jc0RhdGEAAwRzb3J0
AAAGbWVtb3J5AgAKuAMJhgMBA38gAEGACGohBEGACCEAQaCIBCEDQQAkASABJAIgAkEARyQDA0ACQCMCIgEgBCAAayICIAEgAkkbIQEjAwRAAkAg
AUGABEsEQCADIAAgAfwKAAAMAQtBACECA0AgASACSwRAIAIgA2ogACACav0ABAD9CwQAIAJBEGohAgwBCwsLIAEgA2ohAwUjAUHAiAhqIQUCQCAB
QYAESwRAIAUgACAB/AoAAAwBC0EAIQIDQCABIAJLBEAgAiAFaiAAIAJq/QAEAP0LBAAgAkEQaiECDAELCwsjASABaiQBCyMCIAFrJAIgBCAAIAFq
IgBrQQVJDQAgACgCASIBQYD+g3hxQQh3IAFB/4H8B3FBCHhyIgFBBEgEQEF/DwsgAC0AAEHkAEYkAyABQQRrJAIjA0UEQCMBQcCICGohAkEAIQED
QCABQQVJBEAgASACaiAAIAFq/QAEAP0LBAAgAUEQaiEBDAELCyMBQQVqJAELIABBBWohAAwBCwsgA0GgiARrJAAgBCAAawsEACMACwYAQaCIBAsE
ACMDCwQAIwILBAAjAQsGAEHAiAgLBgBBgIAECwUAQYAICw==
`;

export interface CopyFramesKernel {
  readonly memory: { readonly buffer: ArrayBuffer };
  input(): number;
  inputBytes(): number;
  payload(): number;
  messages(): number;
  payloadBytes(): number;
  messagesBytes(): number;
  openBytes(): number;
  openIsData(): number;
  sort(length: number, open: number, isData: number): number;
}

let compiled: WebAssembly.Module | undefined;

/** A new instance with a memory of its own; the module is compiled once. */
export function instantiateCopyFrames(): CopyFramesKernel {
  compiled ??= new WebAssembly.Module(Buffer.from(BYTES, "base64"));
  return new WebAssembly.Instance(compiled).exports as unknown as CopyFramesKernel;
}
