/**
 * Rewrites a module so that it hashes its own trace: every branch condition, address, division operand and global that
 * it computes is folded, with the number of its place, into one 64-bit value inside the module.
 */

import { globalsOf, joinWat, parseWat, toWasm, toWat, type WatLine } from "./wat.ts";

/** One place of a module whose operands are hashed. */
export interface Site {
  readonly functionName: string;
  /** Number of the instruction within its function, from 0. */
  readonly index: number;
  readonly mnemonic: string;
  readonly text: string;
}

export interface Instrumented {
  readonly wasm: Uint8Array<ArrayBuffer>;
  /** The sites by their number. */
  readonly sites: readonly Site[];
}

type Operand = "i32" | "i64" | "f32" | "f64" | "v128";

/** What an instruction pops, deepest first, and which of it is data that need not be hashed. */
interface Shape {
  readonly operands: readonly Operand[];
  readonly data?: number;
}

const hashed = (...operands: Operand[]): Shape => ({ operands });

const FIXED_SHAPES: ReadonlyMap<string, Shape> = new Map([
  ["if", hashed("i32")],
  ["br_if", hashed("i32")],
  ["br_table", hashed("i32")],
  ["select", hashed("i32")],
  ["call_indirect", hashed("i32")],
  ["return_call_indirect", hashed("i32")],
  ["memory.grow", hashed("i32")],
  ["memory.copy", hashed("i32", "i32", "i32")],
  ["memory.init", hashed("i32", "i32", "i32")],
  // The byte that a region is filled with is data, not an address.
  ["memory.fill", { operands: ["i32", "i32", "i32"], data: 1 }],
  ["f32.sqrt", hashed("f32")],
  ["f64.sqrt", hashed("f64")],
  ["f32x4.sqrt", hashed("v128")],
  ["f64x2.sqrt", hashed("v128")],
  ["f32.div", hashed("f32", "f32")],
  ["f64.div", hashed("f64", "f64")],
  ["f32x4.div", hashed("v128", "v128")],
  ["f64x2.div", hashed("v128", "v128")],
  ...["div_s", "div_u", "rem_s", "rem_u"].flatMap((name): [string, Shape][] => [
    [`i32.${name}`, hashed("i32", "i32")],
    [`i64.${name}`, hashed("i64", "i64")],
  ]),
]);

/** Instructions with addresses or conditions this tool does not know how to hash; a kernel has no use for them. */
const REFUSED =
  /atomic|^table\.|^elem\.|^memory\.discard|^br_on|^throw|^try|^catch|^rethrow|^delegate|^ref\.|^call_ref|^return_call_ref/;

/** Says what to hash at an instruction; undefined where there is nothing. */
function shapeOf(
  mnemonic: string,
  text: string,
  globals: ReadonlyMap<string, { type: string }>,
): Shape | undefined {
  const fixed = FIXED_SHAPES.get(mnemonic);
  if (fixed !== undefined) return fixed;
  const access = /^(i32|i64|f32|f64|v128)\.(load|store)(\w*)$/.exec(mnemonic);
  if (access !== null) {
    const lane = (access[3] ?? "").endsWith("_lane");
    if (lane) return { operands: ["i32", "v128"], data: 1 };
    return access[2] === "store" ? { operands: ["i32", access[1] as Operand], data: 1 } : hashed("i32");
  }
  if (mnemonic === "global.set") {
    const type = globals.get(text.trim().split(/\s+/)[1] ?? "")?.type;
    if (type === undefined) throw new Error(`the type of the global of "${text.trim()}" is unknown`);
    return hashed(type as Operand);
  }
  return undefined;
}

const fold = (value: string, site: number): string => `${value} i32.const ${site} call $ctime.fold`;

/** Writes the instructions that hash one operand, which lies in a local. */
function foldOperand(local: string, type: Operand, site: number): string {
  const get = `local.get ${local}`;
  switch (type) {
    case "i32":
      return fold(`${get} i64.extend_i32_u`, site);
    case "i64":
      return fold(get, site);
    case "f32":
      return fold(`${get} i32.reinterpret_f32 i64.extend_i32_u`, site);
    case "f64":
      return fold(`${get} i64.reinterpret_f64`, site);
    case "v128":
      return `${fold(`${get} i64x2.extract_lane 0`, site)} ${fold(`${get} i64x2.extract_lane 1`, site)}`;
  }
}

/** Names the local that holds operand number n of a type. */
const localOf = (type: Operand, n: number): string => `$ctime.${type}.${n}`;

/** Writes what goes before an instruction: pop its operands, hash those that count, push all back. */
function prologueOf(shape: Shape, site: number, locals: Set<string>): string {
  const named = shape.operands.map((type, n) => {
    locals.add(`(local ${localOf(type, n)} ${type})`);
    return { type, name: localOf(type, n) };
  });
  const pops = named.toReversed().map(({ name }) => `local.set ${name}`);
  const folds = named
    .filter((_, n) => n !== shape.data)
    .map(({ name, type }) => foldOperand(name, type, site));
  const pushes = named.map(({ name }) => `local.get ${name}`);
  return [...pops, ...folds, ...pushes].join(" ");
}

/**
 * The state of the hash. Events beyond `ctime.limit` are ignored, so that the first difference between two runs can be
 * found by halving; the last event that counted stays readable.
 */
const DECLARATIONS = `
  (global $ctime.hash (export "ctime.hash") (mut i64) (i64.const 0))
  (global $ctime.count (export "ctime.count") (mut i64) (i64.const 0))
  (global $ctime.limit (export "ctime.limit") (mut i64) (i64.const -1))
  (global $ctime.site (export "ctime.site") (mut i32) (i32.const -1))
  (global $ctime.value (export "ctime.value") (mut i64) (i64.const 0))
  (func $ctime.fold (param $value i64) (param $site i32)
    global.get $ctime.count global.get $ctime.limit i64.ge_u if return end
    global.get $ctime.count i64.const 1 i64.add global.set $ctime.count
    local.get $site global.set $ctime.site
    local.get $value global.set $ctime.value
    global.get $ctime.hash local.get $value i64.xor
    i64.const 0x9e3779b97f4a7c15 i64.mul i64.const 29 i64.rotl
    local.get $site i64.extend_i32_u i64.const 0xd1b54a32d192ed03 i64.mul i64.add
    global.set $ctime.hash)`;

/** The lines of a module with calls to `$ctime.fold` put in, and the places they stand at. */
export interface Folded {
  readonly output: readonly string[];
  readonly sites: readonly Site[];
}

/**
 * Puts a call of `$ctime.fold` (i64 operand, i32 number of the site) before instructions.
 *
 * @param wanted says which of the instructions that have an operand to fold count
 * @throws Error where the module has an instruction or a memory the tool does not know
 */
export function insertFolds(lines: readonly WatLine[], wanted: (mnemonic: string) => boolean): Folded {
  const memories = lines.filter(({ text }) => /^ {2}\((memory|import .*\(memory) /.test(text));
  if (memories.length > 1 || memories.some(({ text }) => / i64 /.test(text))) {
    throw new Error("only one memory with 32-bit addresses is supported");
  }
  const globals = globalsOf(lines);
  const sites: Site[] = [];
  const output: string[] = [];
  let locals = new Set<string>();
  let localsLine = -1;
  for (const { text, functionName, index, mnemonic, opensFunction } of lines) {
    if (opensFunction === true) {
      output.push(text, "");
      localsLine = output.length - 1;
      locals = new Set();
      continue;
    }
    if (functionName !== undefined && index !== undefined && mnemonic !== undefined) {
      if (REFUSED.test(mnemonic)) throw new Error(`${functionName} uses ${mnemonic}, which is not supported`);
      const shape = wanted(mnemonic) ? shapeOf(mnemonic, text, globals) : undefined;
      if (shape !== undefined) {
        output.push(prologueOf(shape, sites.length, locals));
        output[localsLine] = [...locals].join(" ");
        sites.push({ functionName, index, mnemonic, text: text.trim() });
      }
    }
    output.push(text);
  }
  return { output, sites };
}

/** Keeps a note of every site that is reached: the entries of a table that are set. */
const coverageDeclarations = (sites: number): string => `
  (table $ctime.reached (export "ctime.reached") ${sites} funcref)
  (elem declare func $ctime.fold)
  (func $ctime.fold (param $value i64) (param $site i32)
    local.get $site ref.func $ctime.fold table.set $ctime.reached)`;

/** Adds a note of the sites reached to a module, instead of the hash. */
export function instrumentCoverage(wasm: Uint8Array): Instrumented {
  const { output, sites } = insertFolds(parseWat(toWat(wasm)), () => true);
  return { wasm: toWasm(joinWat(output, coverageDeclarations(sites.length))), sites };
}

/**
 * Adds the hash to a module. Every mutable global is exported as `ctime.global.N`, so that a run can start from a known
 * state.
 *
 * @throws Error where the module has something the tool does not know
 */
export function instrument(wasm: Uint8Array): Instrumented {
  const lines = parseWat(toWat(wasm));
  const { output, sites } = insertFolds(lines, () => true);
  const mutable = [...globalsOf(lines)].filter(([, global]) => global.mutable);
  const exports = mutable.map(([name, { type }], n) => {
    if (type === "v128") throw new Error(`global ${name} is a v128, which is not supported`);
    return `  (export "ctime.global.${n}" (global ${name}))`;
  });
  return { wasm: toWasm(joinWat(output, `${DECLARATIONS}\n${exports.join("\n")}`)), sites };
}
