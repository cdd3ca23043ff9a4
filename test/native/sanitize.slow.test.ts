/**
 * Runs the addon under AddressSanitizer, LeakSanitizer and UndefinedBehaviorSanitizer, built from its sources as
 * `keyplane hsm build` does: 100,000 calls over the shim, records of noise, all kinds of faults.
 */

import { spawnSync } from "node:child_process";
import { existsSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { buildAddon } from "../../src/cli/build-addon.ts";
import { requireModule, whyNot } from "../support/hsm-modules.ts";

const FOLDER = resolve("build/sanitize");
const FLAGS = [
  "-O1",
  "-g1",
  "-fno-omit-frame-pointer",
  "-fsanitize=address,undefined",
  // The virtual tables of N-API's wrappers are in Node's own headers.
  "-fno-sanitize=vptr",
  "-fno-sanitize-recover=undefined",
];

/** Path of a library of the compiler; undefined where it has none. */
function runtime(name: string): string | undefined {
  const { stdout } = spawnSync("g++", [`-print-file-name=${name}`], { encoding: "utf8" });
  return stdout?.startsWith("/") ? stdout.trim() : undefined;
}

const preload = [runtime("libasan.so"), runtime("libubsan.so")];
const hasSanitizers = preload.every((library) => library !== undefined && existsSync(library));

beforeAll(async () => {
  if (whyNot("softhsm") !== undefined || !hasSanitizers) return;
  const compiler = "g++";
  await Promise.all([
    buildAddon({ compiler, output: join(FOLDER, "keyplane.node"), flags: FLAGS }),
    buildAddon({
      compiler,
      output: join(FOLDER, "shim_pkcs11.node"),
      sources: [resolve("test/native/shim_pkcs11.cc")],
      flags: [...FLAGS, "-fvisibility=default"],
    }),
  ]);
}, 600_000);

afterAll(() => rmSync(FOLDER, { recursive: true, force: true }));

beforeEach(({ skip }) => {
  requireModule(skip, "softhsm");
  if (hasSanitizers) return;
  if (process.env["CI"] === "true") throw new Error("g++ has no libasan and libubsan; CI must have them");
  skip("g++ has no libasan and libubsan");
});

test("100,000 calls, noise and faults show no error of memory, no undefined behaviour and no leak of ours", () => {
  const child = spawnSync(process.execPath, ["test/native/sanitize-child.mjs", FOLDER], {
    encoding: "utf8",
    maxBuffer: 256 * 1024 * 1024,
    env: {
      ...process.env,
      LD_PRELOAD: preload.join(":"),
      // Node and SoftHSM leave memory to the end of the process; what names our sources is ours.
      ASAN_OPTIONS: "detect_leaks=1:exitcode=99:fast_unwind_on_malloc=0:malloc_context_size=6",
      LSAN_OPTIONS: "exitcode=0:max_leaks=2000",
      UBSAN_OPTIONS: "print_stacktrace=1",
    },
  });
  const report = `${child.stdout}${child.stderr}`;
  const leaks = report.split(/\n(?=(?:Direct|Indirect) leak)/).slice(1);
  const sizeOf = (leak: string): number[] =>
    (/leak of (\d+) byte\(s\) in (\d+)/.exec(leak) ?? []).slice(1).map(Number);
  // The shim loses memory in pieces of this length, so that a report without them is one that was not made.
  const isPlanted = (leak: string): boolean => {
    const [bytes = 0, objects = 0] = sizeOf(leak);
    return objects > 0 && bytes === 4321 * objects;
  };
  expect(leaks.filter(isPlanted)).not.toEqual([]);
  const ours = `${resolve("native")}/`;
  expect(leaks.filter((leak) => leak.includes(ours) && !isPlanted(leak)).join("\n")).toBe("");
  expect(child.stdout, report.slice(0, 20_000)).toContain("sanitized: done");
  expect(child.status).toBe(0);
});
