/** The packed package, installed by npm into an empty project: the README's example runs in Node, Bun and Deno, by import and by require. */

import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { execute } from "./cli-guests.ts";
import { binary, has, ROOT } from "./tools.ts";

let folder: string;

const README = readFileSync(join(ROOT, "README.md"), "utf8");
const EXAMPLE = /```js\n([\s\S]*?)```/.exec(README)?.[1] ?? "";

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "keyplane-install-"));
  writeFileSync(
    join(folder, "package.json"),
    JSON.stringify({ name: "empty", version: "1.0.0", private: true }),
  );
  await execute("npm", ["pack", "--ignore-scripts", "--silent", "--pack-destination", folder], ROOT);
  const archive = readdirSync(folder).find((name) => name.endsWith(".tgz")) ?? "";
  // The SQLite driver, which is optional, would be compiled.
  await execute("npm", ["install", "--omit=optional", "--no-audit", "--no-fund", `./${archive}`], folder);
  writeFileSync(join(folder, "example.mjs"), EXAMPLE);
  // A CommonJS module has no await at its top.
  const required = EXAMPLE.replace(/^import (.*) from (".*");$/m, "const $1 = require($2);");
  writeFileSync(join(folder, "example.cjs"), `(async () => {\n${required}})();\n`);
}, 120_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const RUNTIMES = [
  { tool: "node-20", args: ["--no-warnings"] },
  { tool: "node-22", args: [] },
  { tool: "node-24", args: [] },
  { tool: "node-26", args: [] },
  { tool: "bun", args: [] },
  { tool: "deno", args: ["run", "--quiet", "--no-remote", "--node-modules-dir=manual"] },
] as const;

test("the example imports the package by its name", () => {
  expect(EXAMPLE).toContain('from "keyplane"');
});

describe.each(RUNTIMES)("$tool", ({ tool, args }) => {
  test.skipIf(!has(tool)).each(["mjs", "cjs"])(
    "runs the README's example.%s in an empty project",
    async (kind) => {
      expect(await execute(binary(tool), [...args, `example.${kind}`], folder)).toBe("hello true\n");
    },
  );
});
