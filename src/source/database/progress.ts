import type { CaptureProgress } from "./types.ts";

/** Adds up what the workers read and tells the caller, step by step. */
export class ProgressMeter {
  readonly #report: ((progress: CaptureProgress) => void) | undefined;
  #progress: CaptureProgress = {
    step: "connect",
    doneBytes: 0,
    totalBytes: 0,
    rows: 0n,
    tablesDone: 0,
    tablesTotal: 0,
  };

  constructor(report: ((progress: CaptureProgress) => void) | undefined) {
    this.#report = report;
  }

  begin(step: CaptureProgress["step"], totals: Partial<CaptureProgress> = {}): void {
    const { current: _last, ...rest } = this.#progress;
    this.#set({ ...rest, ...totals, step });
  }

  read(sizeBytes: number, current: string): void {
    this.#set({ ...this.#progress, doneBytes: this.#progress.doneBytes + sizeBytes, current });
  }

  tableDone(rows: bigint): void {
    const { tablesDone, rows: before } = this.#progress;
    this.#set({ ...this.#progress, tablesDone: tablesDone + 1, rows: before + rows });
  }

  #set(progress: CaptureProgress): void {
    this.#progress = progress;
    this.#report?.(progress);
  }
}
