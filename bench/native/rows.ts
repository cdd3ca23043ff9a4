/** Compares contenders in turns of one window each, and judges the medians of their ratios. */

import { median } from "../interleave.ts";

/** A contender measures one window and returns operations a second. */
export type Measure = () => Promise<number>;

export interface Row {
  readonly name: string;
  /** Least ratio of `ours` to the best of `theirs`. */
  readonly demand: number;
  readonly ours: Measure;
  readonly theirs: readonly Measure[];
}

const ROUNDS = 7;

/** Median of the ratios of neighbouring windows, against the best of the others: what slows the machine slows both. */
async function measure(row: Row): Promise<number> {
  await row.ours();
  const ratios = row.theirs.map(() => [] as number[]);
  for (let round = 0; round < ROUNDS; round++) {
    const ours = await row.ours();
    for (const [i, each] of row.theirs.entries()) ratios[i]?.push(ours / (await each()));
  }
  return Math.min(...ratios.map(median));
}

/** Measures a row, once more if it misses, and prints it. */
export async function judge(row: Row): Promise<boolean> {
  let ratio = await measure(row);
  if (ratio < row.demand) ratio = Math.max(ratio, await measure(row));
  return verdict(row.name, ratio, `>= ${row.demand}`, ratio >= row.demand);
}

/** Prints a row whose figure is no ratio of rates. */
export function verdict(name: string, value: number, demand: string, met: boolean): boolean {
  console.log(`${met ? "met   " : "MISSED"} ${name.padEnd(72)} ${value.toFixed(2).padStart(8)}  ${demand}`);
  return met;
}

/** Prints a figure that nothing is demanded of. */
export function note(name: string, value: number): void {
  console.log(`       ${name.padEnd(72)} ${value.toFixed(2).padStart(8)}`);
}
