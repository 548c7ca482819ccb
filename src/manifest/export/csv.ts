import type { Bytes } from "../../kernel/index.ts";
import type { RowSink } from "./copy-text.ts";
import { Scratch } from "./output-buffer.ts";
import type { OutputBuffer } from "./output-buffer.ts";

/**
 * CSV as PostgreSQL's own `COPY … (FORMAT csv, HEADER)` writes it, byte for byte: RFC 4180 with newlines of one byte;
 * NULL is nothing at all, the empty string `""`. Only a value above 64 KiB is quoted without need.
 */

const COMMA = 0x2c;
const QUOTE = 0x22;
const NEWLINE = 0x0a;
const HELD_BYTES = 64 * 1024;

const QUOTED = new Uint8Array(256);
for (const byte of [COMMA, QUOTE, NEWLINE, 0x0d]) QUOTED[byte] = 1;

export function csvSink(output: OutputBuffer, columns: readonly string[]): RowSink {
  return new CsvSink(output, columns.length === 1);
}

export function csvHead(output: OutputBuffer, columns: readonly string[]): void {
  const sink = csvSink(output, columns);
  for (const name of columns) {
    const bytes = Buffer.from(name, "utf8");
    sink.value(bytes, 0, bytes.byteLength);
    sink.endValue(false);
  }
  sink.endRow();
}

class CsvSink implements RowSink {
  readonly #output: OutputBuffer;
  readonly #alone: boolean;
  readonly #held = new Scratch(HELD_BYTES);
  #streaming = false;
  #first = true;

  constructor(output: OutputBuffer, alone: boolean) {
    this.#output = output;
    this.#alone = alone;
  }

  value(bytes: Bytes, start: number, end: number): void {
    if (!this.#streaming && this.#held.add(bytes, start, end)) return;
    if (!this.#streaming) this.#startStreaming();
    this.#doubled(bytes, start, end);
  }

  endValue(isNull: boolean): void {
    if (this.#streaming) {
      this.#output.byte(QUOTE);
    } else {
      this.#separate();
      if (!isNull) this.#writeHeld();
    }
    this.#streaming = false;
    this.#held.length = 0;
  }

  endRow(): void {
    this.#output.byte(NEWLINE);
    this.#first = true;
  }

  #separate(): void {
    if (!this.#first) this.#output.byte(COMMA);
    this.#first = false;
  }

  #startStreaming(): void {
    this.#separate();
    this.#output.byte(QUOTE);
    this.#doubled(this.#held.bytes, 0, this.#held.length);
    this.#streaming = true;
  }

  #writeHeld(): void {
    const { bytes, length } = this.#held;
    if (!this.#needsQuotes()) {
      this.#output.copy(bytes, 0, length);
      return;
    }
    this.#output.byte(QUOTE);
    this.#doubled(bytes, 0, length);
    this.#output.byte(QUOTE);
  }

  #needsQuotes(): boolean {
    const { bytes, length } = this.#held;
    if (length === 0) return true;
    for (let at = 0; at < length; at += 1) if (QUOTED[bytes[at] ?? 0] === 1) return true;
    // Alone on a line it would end the data.
    return this.#alone && length === 2 && bytes[0] === 0x5c && bytes[1] === 0x2e;
  }

  #doubled(bytes: Bytes, start: number, end: number): void {
    writeDoubled(this.#output, bytes, start, end, QUOTE);
  }
}

/** Every `quote` twice. */
export function writeDoubled(
  output: OutputBuffer,
  bytes: Bytes,
  start: number,
  end: number,
  quote: number,
): void {
  let from = start;
  for (let at = start; at < end; at += 1) {
    if (bytes[at] !== quote) continue;
    output.copy(bytes, from, at + 1);
    output.byte(quote);
    from = at + 1;
  }
  output.copy(bytes, from, end);
}
