/**
 * Reads a wasm module as text, one instruction a line, and writes it back. The constant-time tools rewrite modules in
 * this form; wabt does the decoding and the encoding.
 */

import wabt from "wabt";

const toolkit = await wabt();

const FEATURES = {
  mutable_globals: true,
  sat_float_to_int: true,
  sign_extension: true,
  simd: true,
  multi_value: true,
  bulk_memory: true,
  reference_types: true,
  tail_call: true,
  extended_const: true,
  relaxed_simd: true,
} as const;

/** One line of a module: an instruction of a function, or anything else, kept as it is. */
export interface WatLine {
  readonly text: string;
  /** Name of the function the instruction belongs to: its export's name, or `fN` with the function's index. */
  readonly functionName?: string;
  /** Number of the instruction within its function, from 0. */
  readonly index?: number;
  /** First word of the instruction, as `i32.load8_u`. */
  readonly mnemonic?: string;
  /** Marks the line that opens a function, behind which locals may be declared. */
  readonly opensFunction?: true;
}

/** Writes a module as text, functions, locals and globals named. */
export function toWat(wasm: Uint8Array): string {
  const module = toolkit.readWasm(wasm, { readDebugNames: true, ...FEATURES });
  try {
    module.generateNames();
    module.applyNames();
    return module.toText({ foldExprs: false, inlineExport: false });
  } finally {
    module.destroy();
  }
}

/** Compiles text to a module. */
export function toWasm(wat: string): Uint8Array<ArrayBuffer> {
  const module = toolkit.parseWat("module.wat", wat, FEATURES);
  try {
    module.resolveNames();
    module.validate();
    return new Uint8Array(module.toBinary({ write_debug_names: true }).buffer);
  } finally {
    module.destroy();
  }
}

/** Counts how many more parentheses a line opens than it closes. Instructions hold no strings. */
function balanceOf(line: string): number {
  let balance = 0;
  for (const character of line) {
    if (character === "(") balance += 1;
    else if (character === ")") balance -= 1;
  }
  return balance;
}

/**
 * Splits a module's text into lines that know which instruction of which function they are. Closing parentheses of
 * functions stand on lines of their own.
 *
 * @param wat from `toWat`
 */
export function parseWat(wat: string): WatLine[] {
  const lines: WatLine[] = [];
  let functionName: string | undefined;
  let depth = 0;
  let index = 0;
  for (const raw of wat.split("\n")) {
    if (functionName === undefined) {
      const opening = /^ {2}\(func \$(\S+)/.exec(raw);
      depth = balanceOf(raw);
      if (opening === null || depth <= 0) {
        lines.push({ text: raw });
        continue;
      }
      functionName = opening[1] ?? "";
      index = 0;
      lines.push({ text: raw, opensFunction: true, functionName });
      continue;
    }
    // Comments name labels; they hold no code.
    const text = raw
      .replace(/;;.*$/, "")
      .replace(/\(;.*?;\)/g, "")
      .trimEnd();
    depth += balanceOf(text);
    const closes = depth <= 0;
    const code = closes ? text.slice(0, text.lastIndexOf(")")) : text;
    const mnemonic = /^\s*([a-z][a-z0-9_.]*)/.exec(code)?.[1];
    if (mnemonic === undefined) {
      lines.push({ text: code });
    } else {
      lines.push({ text: code, functionName, index, mnemonic });
      index += 1;
    }
    if (closes) {
      lines.push({ text: "  )" });
      functionName = undefined;
    }
  }
  return lines;
}

/** Reads the type of every global: `$name` to `i32`, `i64`, `f32`, `f64` or `v128`, and whether it may change. */
export function globalsOf(lines: readonly WatLine[]): Map<string, { type: string; mutable: boolean }> {
  const globals = new Map<string, { type: string; mutable: boolean }>();
  for (const { text } of lines) {
    const global = /^ {2}\(global (\$\S+) (?:\(mut (\w+)\)|(\w+)) /.exec(text);
    if (global === null) continue;
    globals.set(global[1] ?? "", { type: global[2] ?? global[3] ?? "", mutable: global[2] !== undefined });
  }
  return globals;
}

/** Puts lines back together, with more declarations before the end of the module. */
export function joinWat(lines: readonly string[], declarations: string): string {
  const wat = lines.join("\n").trimEnd();
  if (!wat.endsWith(")")) throw new Error("internal: the text of a module does not end with a parenthesis");
  return `${wat.slice(0, -1)}\n${declarations}\n)`;
}

/** Lists the functions that exports reach by direct calls, themselves included. */
export function reachableFrom(lines: readonly WatLine[], exportNames: readonly string[]): Set<string> {
  const callees = new Map<string, Set<string>>();
  const exported: string[] = [];
  for (const { text, functionName, mnemonic } of lines) {
    if (functionName !== undefined && (mnemonic === "call" || mnemonic === "return_call")) {
      const callee = /\$(\S+)/.exec(text)?.[1] ?? "";
      callees.set(functionName, (callees.get(functionName) ?? new Set()).add(callee));
    }
    const [, name = "", internal = ""] = /^ {2}\(export "([^"]*)" \(func \$(\S+?)\)\)/.exec(text) ?? [];
    if (exportNames.includes(name)) exported.push(internal);
  }
  const reached = new Set<string>();
  for (const waiting = exported; waiting.length > 0; ) {
    const next = waiting.pop() ?? "";
    if (reached.has(next)) continue;
    reached.add(next);
    waiting.push(...(callees.get(next) ?? []));
  }
  return reached;
}

/** Lists the names under which functions are exported. */
export function exportedFunctions(lines: readonly WatLine[]): string[] {
  return lines.flatMap(({ text }) => /^ {2}\(export "([^"]*)" \(func /.exec(text)?.[1] ?? []);
}
