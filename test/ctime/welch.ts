/** Compares two sets of times: Welch's t-test, over all times and over those below each of twenty percentiles. */

/** Above this |t| the means differ beyond doubt. */
export const LEAKS_ABOVE = 10;
/** Below this |t| no difference of the means is seen. */
export const CLEAN_BELOW = 4.5;

const CROPS = 20;

interface Moments {
  count: number;
  mean: number;
  squares: number;
}

function add(moments: Moments, value: number): void {
  moments.count += 1;
  const delta = value - moments.mean;
  moments.mean += delta / moments.count;
  moments.squares += delta * (value - moments.mean);
}

/** Returns Welch's t of two samples; 0 where one is too small to tell. */
function tOf(a: Moments, b: Moments): number {
  if (a.count < 100 || b.count < 100) return 0;
  const variance = a.squares / (a.count - 1) / a.count + b.squares / (b.count - 1) / b.count;
  if (variance === 0) return a.mean === b.mean ? 0 : Number.POSITIVE_INFINITY;
  return (a.mean - b.mean) / Math.sqrt(variance);
}

/** Percentiles grow ever denser towards the slow end, where interrupts are. */
const cropAt = (n: number): number => 1 - 0.5 ** ((10 * (n + 1)) / CROPS);

/**
 * Returns the largest |t| over all crops. The first tenth of the times only sets where the crops lie.
 *
 * @param times one for each run, in any unit
 * @param classes 0 or 1 for each run
 */
export function largestT(times: Float64Array, classes: Uint8Array): number {
  const calibration = Math.floor(times.length / 10);
  const sorted = times.slice(0, calibration).sort();
  const limits = Array.from({ length: CROPS }, (_, n) => sorted[Math.floor(cropAt(n) * calibration)] ?? 0);
  limits.push(Number.POSITIVE_INFINITY);
  return Math.max(
    ...limits.map((limit) => {
      const moments = [0, 1].map((): Moments => ({ count: 0, mean: 0, squares: 0 }));
      for (let i = calibration; i < times.length; i++) {
        const time = times[i] ?? 0;
        const own = moments[classes[i] ?? 0];
        if (time <= limit && own !== undefined) add(own, time);
      }
      const [a, b] = moments;
      return a === undefined || b === undefined ? 0 : Math.abs(tOf(a, b));
    }),
  );
}

export type Verdict = "clean" | "leaks" | "unclear";

/** Decides by two of three seeds. */
export function verdictOf(ts: readonly number[]): Verdict {
  if (ts.filter((t) => t > LEAKS_ABOVE).length >= 2) return "leaks";
  return ts.filter((t) => t < CLEAN_BELOW).length >= 2 ? "clean" : "unclear";
}
