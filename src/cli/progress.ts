/** One line on the terminal that says how far a large file is. Silent everywhere else. */

const MIB = 1024 * 1024;
/** Files that take no time to speak of have no line. */
const MIN_LENGTH: number = 16 * MIB;
const INTERVAL_MS = 100;
const BAR_WIDTH = 24;
const CLEAR_LINE = "\r\u001b[K";

export interface Progress {
  /** Counts bytes read. */
  advance(length: number): void;
  /** Removes the line. */
  done(): void;
}

const SILENT: Progress = { advance: () => undefined, done: () => undefined };

/** @param total bytes to read, undefined when nobody knows */
export function startProgress(total: number | undefined, isQuiet: boolean): Progress {
  const isShown = !isQuiet && process.stderr.isTTY === true && (total === undefined || total >= MIN_LENGTH);
  return isShown ? new ProgressLine(total) : SILENT;
}

/** Draws `[######                  ]  25%  512.0 MiB  610.3 MiB/s`, without the parts that need a total. */
export function progressText(read: number, total: number | undefined, seconds: number): string {
  const amount = `${(read / MIB).toFixed(1)} MiB`;
  const rate = `${(seconds > 0 ? read / MIB / seconds : 0).toFixed(1)} MiB/s`;
  if (total === undefined || total === 0) return `${amount}  ${rate}`;
  const fraction = Math.min(1, read / total);
  const bar = "#".repeat(Math.floor(fraction * BAR_WIDTH)).padEnd(BAR_WIDTH);
  return `[${bar}] ${String(Math.floor(fraction * 100)).padStart(3)}%  ${amount}  ${rate}`;
}

class ProgressLine implements Progress {
  readonly #total: number | undefined;
  readonly #started: number = performance.now();
  #looked: number = performance.now();
  #isDrawn = false;
  #read = 0;

  constructor(total: number | undefined) {
    this.#total = total;
  }

  advance(length: number): void {
    this.#read += length;
    const now = performance.now();
    if (now - this.#looked < INTERVAL_MS) return;
    this.#looked = now;
    this.#isDrawn = true;
    const text = progressText(this.#read, this.#total, (now - this.#started) / 1000);
    process.stderr.write(CLEAR_LINE + text);
  }

  done(): void {
    if (this.#isDrawn) process.stderr.write(CLEAR_LINE);
  }
}
