/** Runs every example and the README's own code as a user would, against the built package. */

import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";

const ROOT = new URL("../..", import.meta.url).pathname;
const EXPECTED: Readonly<Record<string, string>> = {
  "envelope-encryption.mjs": "blood type: 0-; re-wrapped: true\n",
  "batch.mjs": "ok, Forbidden.KeyNotFound, ok\n",
  "signing.mjs": "ECDSA_SHA_256: true\n",
};

function run(file: string): string {
  return execFileSync(process.execPath, [file], { cwd: ROOT, encoding: "utf8" });
}

describe("examples", () => {
  test("dist/ is built", () => {
    expect(existsSync(join(ROOT, "dist/index.js"))).toBe(true);
  });

  test("each example has an expected output here", () => {
    const files = readdirSync(join(ROOT, "examples")).filter((name) => name.endsWith(".mjs"));
    expect(files.sort()).toEqual(Object.keys(EXPECTED).sort());
  });

  test.each(Object.entries(EXPECTED))("%s prints what it promises", (name, output) => {
    expect(run(join("examples", name))).toBe(output);
  });

  test("the README's example runs as it stands", () => {
    const code = /```js\n([\s\S]*?)```/.exec(readFileSync(join(ROOT, "README.md"), "utf8"))?.[1] ?? "";
    const file = join(ROOT, `readme-example-${process.pid}.mjs`);
    writeFileSync(file, code);
    try {
      expect(run(file)).toBe("hello true\n");
    } finally {
      rmSync(file);
    }
  });
});
