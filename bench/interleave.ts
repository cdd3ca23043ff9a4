/**
 * Interleaved measurement: contenders take turns in short slices within one process, so that what slows the machine
 * slows them alike. Read the ratios; the absolute figures say little on a shared machine.
 */

export interface Contender {
  readonly name: string;
  /** Does one unit of work; a promise is awaited. */
  run(): unknown;
}

const SLICE_MS = 2;
const ROUNDS = 40;
const WARM_UP_MS = 60;

/** Times slices of one contender: nanoseconds a call. */
async function slice(contender: Contender, milliseconds: number): Promise<number> {
  const started = performance.now();
  let calls = 0;
  let elapsed = 0;
  do {
    for (let i = 0; i < 8; i++) {
      const result = contender.run();
      if (result instanceof Promise) await result;
    }
    calls += 8;
    elapsed = performance.now() - started;
  } while (elapsed < milliseconds);
  return (elapsed * 1e6) / calls;
}

/** Returns the median nanoseconds a call of each contender, by name. */
export async function interleave(contenders: readonly Contender[]): Promise<Map<string, number>> {
  const samples = new Map<string, number[]>(contenders.map(({ name }) => [name, []]));
  for (const contender of contenders) await slice(contender, WARM_UP_MS);
  for (let round = 0; round < ROUNDS; round++) {
    for (const contender of contenders) samples.get(contender.name)?.push(await slice(contender, SLICE_MS));
  }
  return new Map([...samples].map(([name, values]) => [name, median(values)]));
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? Number.NaN;
}
