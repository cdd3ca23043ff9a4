/**
 * Runs Wycheproof files on every engine. The files are not part of the repository: KEYPLANE_VECTORS names the folder
 * that holds wycheproof/, and every file there that fits a runner is run.
 */

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import type { Engine, HashName } from "../../src/engines/engine.ts";
import { createNodeEngine } from "../../src/engines/node/index.ts";
import { createWasmEngine } from "../../src/engines/wasm/inlined.ts";
import { HASHES } from "../conformance/engine-support.ts";

/** What every Wycheproof test has; the rest of its fields are hex. */
export interface Vector {
  readonly tcId: number;
  readonly comment: string;
  readonly flags: readonly string[];
  readonly result: "valid" | "invalid" | "acceptable";
  readonly [field: string]: unknown;
}

/** What every group has; `fields` of a group differ by type. */
export interface Group {
  readonly tests: readonly Vector[];
  readonly [field: string]: unknown;
}

interface VectorFile {
  readonly algorithm: string;
  readonly numberOfTests: number;
  readonly testGroups: readonly Group[];
}

/** What an engine made of a vector: as demanded, not as demanded, or refused as a whole since it serves no such parameters. */
export type Verdict = "right" | "wrong" | "unserved";

/** One family of files and how to run a test of it. */
export interface Runner {
  readonly family: string;
  /** What an engine must have for the files to be run on it. */
  readonly primitive: "ecdh" | "ecdsa" | "rsa" | "hmac" | "hkdf" | "aesKw" | "aesKwp";
  readonly files: RegExp;
  /** Makes the function that judges the tests of a group of a file; "unserved" where none of the group applies. */
  group(engine: Engine, group: Group, algorithm: string): ((vector: Vector) => Verdict) | "unserved";
  /** Counts the tests that an engine must call unserved in a file; none if absent. */
  unserved?(engine: string, file: string, groups: readonly Group[]): number;
}

/** Engines by name; each is made once a file. */
const ENGINES: readonly (readonly [string, () => Engine])[] = [
  ["wasm", createWasmEngine],
  ["node", createNodeEngine],
];

/** Decodes a field that Wycheproof writes in hex. */
export function hexField(holder: Group | Vector, field: string): Uint8Array {
  return Uint8Array.from(Buffer.from(String(holder[field]), "hex"));
}

/** Gives the hash that a group names, or undefined for one that no engine serves. */
export function hashField(group: Group, field: string): HashName | undefined {
  return HASHES.find((hash) => hash === group[field]);
}

/** Judges a yes or no: valid must be yes, invalid no, acceptable may be either. */
export function judge(vector: Vector, accepted: boolean): Verdict {
  if (vector.result === "acceptable") return "right";
  return accepted === (vector.result === "valid") ? "right" : "wrong";
}

/** Compares bytes. */
export function same(a: Uint8Array | undefined, b: Uint8Array): boolean {
  return a !== undefined && Buffer.compare(a, b) === 0;
}

/** Counts the tests of groups that satisfy a condition. */
export function countTests(groups: readonly Group[], condition: (group: Group) => boolean): number {
  return groups.filter(condition).reduce((sum, { tests }) => sum + tests.length, 0);
}

/** Declares the tests of a family. */
export function describeWycheproof(runner: Runner): void {
  const folder = process.env.KEYPLANE_VECTORS;
  if (folder === undefined || folder === "") {
    test.skip(`Wycheproof ${runner.family} vectors did not run: set KEYPLANE_VECTORS to the folder that holds wycheproof/`, () =>
      undefined);
    return;
  }
  const engines = ENGINES.filter(([, makeEngine]) => makeEngine()[runner.primitive] !== undefined);
  const directory = join(folder, "wycheproof");
  const names = readdirSync(directory).filter((name) => runner.files.test(name));
  test(`there are Wycheproof files for ${runner.family}`, () => {
    expect(names.length).toBeGreaterThan(0);
  });
  for (const name of names) {
    const { algorithm, numberOfTests, testGroups } = JSON.parse(
      readFileSync(join(directory, name), "utf8"),
    ) as VectorFile;
    describe.each(engines)("the %s engine", (engineName, makeEngine) => {
      const unserved = runner.unserved?.(engineName, name, testGroups) ?? 0;
      let engine: Engine;
      beforeAll(() => {
        engine = makeEngine();
      });

      test(`is right on ${numberOfTests - unserved} tests of ${name} and refuses ${unserved} as unserved`, () => {
        const counts: Record<Verdict, number> = { right: 0, wrong: 0, unserved: 0 };
        const wrong: string[] = [];
        for (const group of testGroups) {
          const run = runner.group(engine, group, algorithm);
          for (const vector of group.tests) {
            const verdict = run === "unserved" ? run : run(vector);
            counts[verdict]++;
            if (verdict === "wrong") wrong.push(`tcId ${vector.tcId} (${vector.result}): ${vector.comment}`);
          }
        }
        expect(wrong).toEqual([]);
        expect(counts).toEqual({ right: numberOfTests - unserved, wrong: 0, unserved });
      });
    });
  }
}
