/** Holds that a machine without the addon, or without the tools to build it, is told so plainly. */

import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { loadAddon } from "../../src/engines/hsm/addon.ts";
import { KmsError } from "../../src/errors.ts";

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "keyplane-addon-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function refusalOf(file: string): KmsError {
  try {
    loadAddon(file);
  } catch (error) {
    if (error instanceof KmsError) return error;
    throw error;
  }
  throw new Error("the addon was loaded");
}

test("an addon that is not built is named as the reason", () => {
  const refusal = refusalOf(join(folder, "keyplane.node"));
  expect(refusal.code).toBe("Rejected.UnsupportedOperation");
  expect(refusal.message).toContain("The native addon is not built");
});

test("an addon that cannot be loaded is named as the reason", () => {
  const file = join(folder, "keyplane.node");
  writeFileSync(file, "built for another machine");
  const refusal = refusalOf(file);
  expect(refusal.code).toBe("Rejected.UnsupportedOperation");
  expect(refusal.message).toContain("does not run on this platform");
  expect(refusal.cause).toBeInstanceOf(Error);
});

const buildScript = resolve(import.meta.dirname, "../../.config/build-addon.mjs");

test.skipIf(process.platform === "win32").each([
  ["without any compiler", {}],
  ["without the compiler that CXX names", { CXX: "no-such-compiler -O2" }],
])("a build %s is declined in one line", (_what, extra) => {
  const { CXX: _ignored, ...env } = process.env;
  const build = spawnSync(process.execPath, [buildScript], {
    env: { ...env, PATH: folder, ...extra },
    encoding: "utf8",
  });
  expect(build.status).toBe(1);
  expect(build.stdout).toBe("");
  expect(build.stderr).toBe("addon: not built, there is no C++ compiler\n");
});
