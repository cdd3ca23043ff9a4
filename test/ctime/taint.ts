/**
 * Translates a module to C and replays scenarios on it under valgrind memcheck, secrets marked undefined. Memcheck then
 * follows the secrets themselves, so one set of them is enough and no path has to be hit by chance.
 */

import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { WasmModule } from "../../.config/build-wasm.mjs";
import type { DeclassifyPoint } from "./declassify.ts";
import { insertFolds, type Site } from "./instrument.ts";
import { recordScript } from "./recording.ts";
import type { Scenario } from "./scenario.ts";
import { joinWat, parseWat, reachableFrom, toWasm, toWat, type WatLine } from "./wat.ts";

const WASM2C = fileURLToPath(new URL("../../node_modules/wabt/bin/wasm2c", import.meta.url));
const RUNTIME = fileURLToPath(new URL("runtime", import.meta.url));

/** What is missing on this machine, in plain words; undefined where the check can run. */
export function missingTools(): string | undefined {
  const missing: string[] = [];
  for (const command of ["gcc", "valgrind"]) {
    if (spawnSync(command, ["--version"]).status !== 0) missing.push(command);
  }
  if (!existsSync("/usr/include/simde/wasm/simd128.h")) missing.push("libsimde-dev");
  if (!existsSync("/usr/include/valgrind/memcheck.h")) missing.push("valgrind's headers");
  return missing.length === 0 ? undefined : `the taint check needs ${missing.join(", ")}`;
}

/** Relaxed instructions and the plain ones that are one of their allowed meanings. */
const RELAXED: readonly (readonly [RegExp, string])[] = [
  [/^i8x16\.relaxed_swizzle$/, "i8x16.swizzle"],
  [/^i\d+x\d+\.relaxed_laneselect$/, "v128.bitselect"],
  [/^i16x8\.relaxed_q15mulr_s$/, "i16x8.q15mulr_sat_s"],
  [/^(f\d+x\d)\.relaxed_(min|max)$/, "$1.$2"],
  [/^i32x4\.relaxed_trunc_(f32x4_[su]|f64x2_[su]_zero)$/, "i32x4.trunc_sat_$1"],
  [/^(f32x4|f64x2)\.relaxed_(n?madd)$/, "call $$ctime.$1.$2"],
];

const unrelaxed = ({ text, mnemonic }: WatLine): string => {
  if (mnemonic === undefined || !mnemonic.includes(".relaxed_")) return text;
  const rule = RELAXED.find(([pattern]) => pattern.test(mnemonic));
  if (rule === undefined) throw new Error(`${mnemonic} is not supported`);
  return text.replace(mnemonic, mnemonic.replace(rule[0], rule[1]));
};

/** Multiplies and adds lane by lane through the host's fused instruction, as relaxed builds do on most machines. */
function maddFunction(shape: "f32x4" | "f64x2", negate: boolean): string {
  const lane = shape.slice(0, 3);
  const lanes = [...Array(shape === "f32x4" ? 4 : 2).keys()];
  const operand = (name: string, n: number): string => `(${shape}.extract_lane ${n} (local.get ${name}))`;
  const factor = (n: number): string => (negate ? `(${lane}.neg ${operand("$a", n)})` : operand("$a", n));
  const body = lanes.reduce(
    (vector, n) =>
      `(${shape}.replace_lane ${n} ${vector} (call $ctime.fma.${lane} ${factor(n)} ${operand("$b", n)} ${operand("$c", n)}))`,
    "(local.get $c)",
  );
  // $result starts as $c and loses it lane by lane, after the lane was read.
  return `(func $ctime.${shape}.${negate ? "nmadd" : "madd"} (param $a v128) (param $b v128) (param $c v128) (result v128) ${body})`;
}

const IMPORTS = `
  (import "ctime" "public" (func $ctime.public (param i32 i32) (result i32)))
  (import "ctime" "operand" (func $ctime.fold (param i64 i32)))`;
const FMA_IMPORTS = `
  (import "ctime" "fma64" (func $ctime.fma.f64 (param f64 f64 f64) (result f64)))
  (import "ctime" "fma32" (func $ctime.fma.f32 (param f32 f32 f32) (result f32)))`;

/** Instructions whose use of a secret memcheck cannot see or the C compiler may hide. */
const CHECKED = /\.(div|rem|sqrt)|^select$|^global\.set$|^memory\.grow$/;

/** Compares an instruction with one of a declassify point. */
function matches(code: string | undefined, pattern: string): boolean {
  return pattern.endsWith("*") ? code?.startsWith(pattern.slice(0, -1)) === true : code === pattern;
}

interface Prepared {
  readonly wasm: Uint8Array;
  readonly sites: readonly Site[];
  /** How often each point's instructions were found. */
  readonly found: readonly number[];
}

/** Rewrites a module for the translation: relaxed instructions, operand checks, declassify points. */
function prepare(wasm: Uint8Array, points: readonly DeclassifyPoint[]): Prepared {
  const plain = parseWat(toWat(wasm)).map((line) => {
    const text = unrelaxed(line);
    const mnemonic = /^\s*([a-z][a-z0-9_.]*)/.exec(text)?.[1];
    return line.mnemonic === undefined || mnemonic === undefined ? line : { ...line, text, mnemonic };
  });
  const found = points.map(() => 0);
  const code = plain.map((line) => line.text.trim());
  const functions = points.map(({ within }) => reachableFrom(plain, within));
  const declassified = plain.map((line, at): WatLine => {
    const point = points.findIndex(
      ({ after }, n) =>
        functions[n]?.has(line.functionName ?? "") === true &&
        after.every((text, n) => matches(code[at - after.length + 1 + n], text)),
    );
    if (point < 0 || line.mnemonic === undefined) return line;
    found[point] = (found[point] ?? 0) + 1;
    return { ...line, text: `${line.text} i32.const ${point} call $ctime.public` };
  });
  const { output, sites } = insertFolds(declassified, (mnemonic) => CHECKED.test(mnemonic));
  const usesMadd = code.some((text) => text.startsWith("call $ctime."));
  const multipliers = usesMadd
    ? (["f32x4", "f64x2"] as const).flatMap((shape) => [
        maddFunction(shape, false),
        maddFunction(shape, true),
      ])
    : [];
  const [opening = "", ...rest] = output;
  const wat = joinWat([opening, IMPORTS, usesMadd ? FMA_IMPORTS : "", ...rest], multipliers.join("\n"));
  return { wasm: toWasm(wat), sites, found };
}

/** Writes the C that calls an exported function by number; exports with other than integer arguments are left out. */
function dispatchSource(header: string): { source: string; exportNames: string[] } {
  const exportNames: string[] = [];
  const cases: string[] = [];
  for (const [, name, result, symbol, parameters] of header.matchAll(
    /\/\* export: '([^']*)' \*\/\n([\w ]+?) (w2c_kernel_\w+)\(w2c_kernel\*((?:, \w+)*)\);/g,
  )) {
    const types = (parameters ?? "").split(", ").slice(1);
    if (types.some((type) => type !== "u32" && type !== "u64")) continue;
    const args = types.map((type, n) => `, (${type})args[${n}]`).join("");
    const call = `${symbol}(kernel${args})`;
    const returns = result === "u32" || result === "u64";
    cases.push(
      `    case ${exportNames.length}: ${returns ? `return (uint64_t)${call};` : `(void)${call}; return 0;`}`,
    );
    exportNames.push(name ?? "");
  }
  const source = `static uint64_t ctime_dispatch(w2c_kernel* kernel, uint32_t number, const uint64_t* args) {
  switch (number) {
${cases.join("\n")}
  }
  abort();
}
`;
  return { source, exportNames };
}

/** What memcheck saw. */
export interface TaintReport {
  /** Errors by scenario, without those that have none. */
  readonly errors: Readonly<Record<string, number>>;
  /** Instructions whose operand depends on a secret. */
  readonly operands: readonly Site[];
  /** For each declassify point: places in the module, times reached, times its value was secret. */
  readonly points: readonly { readonly places: number; readonly reached: number; readonly secret: number }[];
  readonly scenarios: number;
  /** Where memcheck met the secrets: its own words, shortened. */
  readonly log: string;
}

/**
 * Checks scenarios on a module.
 *
 * @throws Error where a tool fails, or the translated module computes something else than the module itself
 */
export function checkTaint(
  wasm: Uint8Array<ArrayBuffer>,
  scenarios: readonly Scenario[],
  points: readonly DeclassifyPoint[],
  options: { readonly engine: WasmModule | false },
): TaintReport {
  const folder = mkdtempSync(join(tmpdir(), "keyplane-taint-"));
  try {
    const { wasm: prepared, sites, found } = prepare(wasm, points);
    writeFileSync(join(folder, "module.wasm"), prepared);
    execFileSync(process.execPath, [
      WASM2C,
      "-n",
      "kernel",
      "-o",
      join(folder, "module.c"),
      join(folder, "module.wasm"),
    ]);
    const header = readFileSync(join(folder, "module.h"), "utf8");
    const { source, exportNames } = dispatchSource(header);
    writeFileSync(
      join(folder, "dispatch.h"),
      `#define CTIME_POINTS ${points.length}\n` +
        `#define CTIME_INSTANTIATE(kernel, host) wasm2c_kernel_instantiate(kernel, host)\n${source}`,
    );
    const program = join(folder, "check");
    // No optimization: it turns jumps into conditional moves, which memcheck does not report.
    const flags = ["-O0", "-g1", "-mssse3", "-w", "-fno-strict-aliasing"];
    const sources = [join(folder, "module.c"), join(RUNTIME, "driver.c")];
    execFileSync("gcc", [...flags, "-I", folder, "-I", RUNTIME, ...sources, "-lm", "-o", program]);
    const result = spawnSync(
      "valgrind",
      ["--quiet", "--leak-check=no", "--error-exitcode=99", "--error-limit=no", "--num-callers=6", program],
      { input: recordScript(wasm, scenarios, exportNames, options), encoding: "utf8", maxBuffer: 1 << 28 },
    );
    return readReport(result, sites, found);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function readReport(
  result: { readonly status: number | null; readonly stdout: string; readonly stderr: string },
  sites: readonly Site[],
  found: readonly number[],
): TaintReport {
  const errors: Record<string, number> = {};
  const operands = new Set<Site>();
  const points: { places: number; reached: number; secret: number }[] = [];
  let scenarios = 0;
  let done = false;
  for (const line of result.stdout.split("\n")) {
    const [word, a = "", b = "", c = ""] = line.split(" ");
    if (word === "failed" || word === "trap")
      throw new Error(`the replay stopped: ${line}\n${result.stderr}`);
    if (word === "scenario") {
      scenarios += 1;
      if (a !== "0") errors[line.split(" ").slice(2).join(" ")] = Number(a);
    } else if (word === "operand") {
      const site = sites[Number(a)];
      if (site !== undefined) operands.add(site);
    } else if (word === "point") {
      points.push({ places: found[Number(a)] ?? 0, reached: Number(b), secret: Number(c) });
    } else if (word === "done") {
      done = a === "1";
    }
  }
  const clean = Object.keys(errors).length === 0;
  if (!done || result.status !== (clean ? 0 : 99)) {
    throw new Error(`valgrind ended with ${result.status}:\n${result.stdout}\n${result.stderr}`);
  }
  // Scenarios without an error are left out of the log.
  const log = result.stderr
    .replace(/^[=*]+\d+[=*]+ ?/gm, "")
    .replace(/^scenario: .*\n(?=scenario: |$)/gm, "")
    .slice(0, 4000);
  return { errors, operands: [...operands], points, scenarios: scenarios - 1, log };
}

/** Says what is wrong with a report; empty where nothing is. */
export function findingsOf(report: TaintReport, points: readonly DeclassifyPoint[], build: string): string[] {
  const findings = Object.entries(report.errors).map(
    ([scenario, count]) => `"${scenario}": ${count} uses of a secret`,
  );
  for (const { functionName, index, text } of report.operands) {
    findings.push(`function ${functionName}, instruction ${index} (${text}): the operand is secret`);
  }
  for (const [n, { after, places }] of points.entries()) {
    const point = report.points[n];
    const expected = places[build] ?? 0;
    if (point?.places !== expected) {
      findings.push(`declassify point "${after.join("; ")}": ${point?.places} places, not ${expected}`);
    }
    if (expected > 0 && point?.secret === 0) {
      findings.push(`declassify point "${after.join("; ")}" is never reached by a secret`);
    }
  }
  return findings.length === 0 ? [] : [...findings, report.log];
}
