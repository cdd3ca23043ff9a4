/** Probes SoftHSM2, a real module, with a token of its own in a temporary folder. */

import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { probeModule } from "../../src/engines/hsm/module.ts";

const ADDON = resolve(import.meta.dirname, "../../build/Release/keyplane.node");
const LIBRARY = [
  "/usr/lib/softhsm/libsofthsm2.so",
  "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
  "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
  "/usr/lib64/softhsm/libsofthsm2.so",
  "/opt/homebrew/lib/softhsm/libsofthsm2.so",
].find((path) => existsSync(path));

const CKM_RSA_PKCS = 0x1;
const CKM_ECDSA = 0x1041;
const CKM_AES_GCM = 0x1087;
const CKF_LOGIN_REQUIRED = 0x4;
const CKF_TOKEN_INITIALIZED = 0x400;

let folder: string;
let library: string;

beforeEach(({ skip }) => {
  const reason = !existsSync(ADDON)
    ? "the native addon is not built: run node .config/build-addon.mjs"
    : "SoftHSM2 is not installed";
  if (!existsSync(ADDON) || LIBRARY === undefined) {
    if (process.env["CI"] === "true") throw new Error(`${reason}, which CI must have`);
    skip(reason);
    return;
  }
  library = LIBRARY;
  folder = mkdtempSync(join(tmpdir(), "keyplane-softhsm-"));
  mkdirSync(join(folder, "tokens"));
  writeFileSync(
    join(folder, "softhsm2.conf"),
    `directories.tokendir = ${join(folder, "tokens")}\nobjectstore.backend = file\nslots.removable = false\n`,
  );
  // The module reads it when it is initialised.
  process.env["SOFTHSM2_CONF"] = join(folder, "softhsm2.conf");
});

afterEach(() => {
  delete process.env["SOFTHSM2_CONF"];
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
});

function initToken(label: string): void {
  const pins = ["--pin", "1234", "--so-pin", "5678"];
  execFileSync("softhsm2-util", ["--init-token", "--free", "--label", label, ...pins], { stdio: "pipe" });
}

test("SoftHSM2 shows its tokens by label and what they can do", async () => {
  initToken("keyplane one");
  initToken("keyplane two");
  const module = await probeModule(library);

  expect(module.cryptokiVersion.major).toBeGreaterThanOrEqual(2);
  expect(module.manufacturer).toBe("SoftHSM");
  expect(module.libraryVersion.major).toBe(2);
  const labels = module.slots.map((slot) => slot.tokenLabel).sort();
  expect(labels).toEqual(["", "keyplane one", "keyplane two"]);
  for (const slot of module.slots.filter((each) => each.tokenLabel !== "")) {
    expect(slot.flags & CKF_TOKEN_INITIALIZED).not.toBe(0);
    expect(slot.flags & CKF_LOGIN_REQUIRED).not.toBe(0);
    expect(slot.serial).toMatch(/^[0-9a-f]{16}$/);
    expect(slot.model).toBe("SoftHSM v2");
    for (const mechanism of [CKM_RSA_PKCS, CKM_ECDSA, CKM_AES_GCM]) {
      expect(slot.mechanisms).toContain(mechanism);
    }
  }
});

test("SoftHSM2 can be probed again and sees a token made in between", async () => {
  expect((await probeModule(library)).slots.map((slot) => slot.tokenLabel)).toEqual([""]);
  initToken("late");
  expect((await probeModule(library)).slots.map((slot) => slot.tokenLabel)).toContain("late");
});

test("probes of SoftHSM2 at the same time agree, and leave node:crypto in order", async () => {
  initToken("shared");
  const [first, ...rest] = await Promise.all(Array.from({ length: 6 }, () => probeModule(library)));
  for (const each of rest) expect(each).toEqual(first);
  expect(first?.slots.map((slot) => slot.tokenLabel)).toContain("shared");
  expect(randomBytes(16).equals(randomBytes(16))).toBe(false);
});

test("SoftHSM2 without a token folder is reported with the code it answers", async () => {
  rmSync(join(folder, "tokens"), { recursive: true });
  await expect(probeModule(library)).rejects.toMatchObject({
    name: "HsmError",
    ckrName: "CKR_GENERAL_ERROR",
  });
});
