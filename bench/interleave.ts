/**
 * Interleaved measurement: contenders take turns in short slices within one process, so that what slows the machine
 * slows them alike. Read the ratios; the absolute figures say little on a shared machine.
 */

export interface Contender {
  readonly name: string;
  /** Does one unit of work; a promise is awaited. */
  run(): unknown;
}

/** Nanoseconds a call by contender, one for each round. */
export type Samples = ReadonlyMap<string, readonly number[]>;

const SLICE_MS = 2;
const ROUNDS = 40;
const WARM_UP_MS = 60;
/** How long the calls between two looks at the clock take at least, and how many there are at most. */
const BATCH_NS = 100_000;
const MAX_BATCH = 256;

/** Gives a time in milliseconds. */
export type Clock = () => number;

const wallClock: Clock = () => performance.now();

/** The processor time of this process, which others on the core do not lengthen; for work that never leaves the thread. */
export const processorClock: Clock = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};

/** Times slices of one contender: nanoseconds a call. */
async function slice(
  contender: Contender,
  milliseconds: number,
  batch: number,
  clock: Clock,
): Promise<number> {
  const started = clock();
  let calls = 0;
  let elapsed = 0;
  do {
    for (let i = 0; i < batch; i++) {
      const result = contender.run();
      if (result instanceof Promise) await result;
    }
    calls += batch;
    elapsed = clock() - started;
  } while (elapsed < milliseconds);
  return (elapsed * 1e6) / calls;
}

/** Returns the nanoseconds a call of each contender in every round. */
export async function sample(
  contenders: readonly Contender[],
  rounds: number = ROUNDS,
  clock: Clock = wallClock,
  sliceMs: number = SLICE_MS,
): Promise<Samples> {
  const samples = new Map<string, number[]>(contenders.map(({ name }) => [name, []]));
  // Looking at the clock takes up to a microsecond, which must not count: a batch lasts a hundred times longer.
  const batches = new Map<Contender, number>();
  for (const contender of contenders) {
    const nanoseconds = await slice(contender, WARM_UP_MS, 1, clock);
    batches.set(contender, Math.max(1, Math.min(MAX_BATCH, Math.ceil(BATCH_NS / nanoseconds))));
  }
  for (let round = 0; round < rounds; round++) {
    for (const contender of contenders) {
      samples.get(contender.name)?.push(await slice(contender, sliceMs, batches.get(contender) ?? 1, clock));
    }
  }
  return samples;
}

/** Returns the median nanoseconds a call of each contender, by name. */
export async function interleave(contenders: readonly Contender[]): Promise<Map<string, number>> {
  const samples = await sample(contenders);
  return new Map([...samples].map(([name, values]) => [name, median(values)]));
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? Number.NaN;
}

/** Returns the lower quartile, which another program that takes the core away for a slice does not move. */
export function quartile(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 2] ?? Number.NaN;
}

/** Returns how many times longer `slow` takes than `fast`, by their lower quartiles. */
export function ratio(samples: Samples, slow: string, fast: string): number {
  return quartile(samples.get(slow) ?? []) / quartile(samples.get(fast) ?? []);
}
