/** `keyplane hsm` and hardware keys on the command line, with SoftHSM2. */

import { existsSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import { buildAddon } from "../../src/cli/build-addon.ts";
import { requireModule, startModule, type TestModule, whyNot } from "../support/hsm-modules.ts";
import { useCli } from "./support.ts";

const cli = useCli();
let module: TestModule;
let env: Record<string, string>;

beforeAll(() => {
  if (whyNot("softhsm") !== undefined) return;
  module = startModule("softhsm");
  module.use();
  // Where the bundled command looks for the addon.
  mkdirSync(cli.path("build"), { recursive: true });
  symlinkSync(resolve("build/Release"), cli.path("build/Release"), "junction");
  writeFileSync(cli.path("pin"), "123456\n");
  writeFileSync(cli.path("so-pin"), "5678");
  env = {
    KEYPLANE_HSM_LIBRARY: module.library,
    KEYPLANE_HSM_TOKEN: module.tokenLabel,
    KEYPLANE_HSM_PIN_FILE: cli.path("pin"),
  };
  return () => module.dispose();
});

beforeEach(({ skip }) => requireModule(skip, "softhsm"));

interface Info {
  readonly slots: readonly { readonly slotId: number; readonly tokenLabel: string }[];
}

describe("keyplane hsm", () => {
  test("info shows the module and its tokens without a PIN", async () => {
    const info = await cli.json(["hsm", "info"], { env: { ...env, KEYPLANE_HSM_PIN_FILE: "" } });
    expect(info).toMatchObject({ library: module.library, manufacturer: "SoftHSM" });
    expect((info as unknown as Info).slots.map(({ tokenLabel }) => tokenLabel)).toContain("keyplane");
    expect(await cli.text(["hsm", "info"], { env })).toMatch(/SLOT +TOKEN +SERIAL/);
  });

  test("init-token makes a token that opens with its PIN and no other", async () => {
    const before = (await cli.json(["hsm", "info"], { env })) as unknown as Info;
    const empty = before.slots.find(({ tokenLabel }) => tokenLabel === "");
    const named = ["--label", "second", "--so-pin-file", cli.path("so-pin"), "--slot", String(empty?.slotId)];
    expect(await cli.json(["hsm", "init-token", ...named], { env })).toEqual({
      label: "second",
      slotId: empty?.slotId,
    });
    const token = ["--hsm-token", "second"];
    expect(await cli.json([...token, "hsm", "keys"], { env })).toEqual({ keys: [] });
    writeFileSync(cli.path("wrong"), "654321");
    const refused = await cli.run([...token, "--hsm-pin-file", cli.path("wrong"), "hsm", "keys"], { env });
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain("LoginFailed");
    expect(refused.stderr + refused.stdout).not.toContain("654321");
  });

  test("keys lists what key create --protection hsm made, which signs and stays inside", async () => {
    const options = { env };
    const create = ["key", "create", "--spec", "EC_P256", "--usage", "SIGN/VERIFY", "--protection", "hsm"];
    const keyId = await cli.text(create, options);
    const { keys } = (await cli.json(["hsm", "keys"], options)) as {
      keys: { keySpec: string; label: string; extractable: boolean }[];
    };
    expect(keys).toHaveLength(1);
    expect(keys[0]).toMatchObject({ keySpec: "EC_P256", extractable: false });
    expect(keys[0]?.label).toContain(keyId);
    writeFileSync(cli.path("message"), "signed in the token");
    await cli.text(["sign", "--key", keyId, "-o", cli.path("signature"), cli.path("message")], options);
    const verify = ["verify", "--key", keyId, "--signature", cli.path("signature"), cli.path("message")];
    expect((await cli.run(verify, options)).code).toBe(0);
    const withoutHsm = await cli.run(["sign", "--key", keyId, "-o", cli.path("none"), cli.path("message")]);
    expect(withoutHsm.code).toBe(1);
    expect(existsSync(cli.path("none"))).toBe(false);
  });

  test("bench gives a figure for each operation and leaves no key behind", async () => {
    const count = async (): Promise<number> =>
      ((await cli.json(["hsm", "keys"], { env })) as { keys: unknown[] }).keys.length;
    const before = await count();
    const { figures } = (await cli.json(["hsm", "bench", "--seconds", "1"], { env })) as {
      figures: { operation: string; perSecond: number }[];
    };
    expect(figures.map(({ operation }) => operation)).toEqual([
      "AES_GCM, 32 bytes",
      "ECDSA P-256 sign",
      "RSA_PSS 2048 sign",
    ]);
    for (const { perSecond } of figures) expect(perSecond).toBeGreaterThan(0);
    expect(await count()).toBe(before);
  });

  test("without a library, a token or a PIN says what to give: exit code 2", async () => {
    const runs = [
      await cli.run(["hsm", "info"]),
      await cli.run(["hsm", "keys"], { env: { KEYPLANE_HSM_LIBRARY: module.library } }),
      await cli.run(["hsm", "keys"], { env: { ...env, KEYPLANE_HSM_PIN_FILE: "" } }),
    ];
    expect(runs.map(({ code }) => code)).toEqual([2, 2, 2]);
    expect(runs.map(({ stderr }) => /--hsm-[a-z-]+/.exec(stderr)?.[0])).toEqual([
      "--hsm-library",
      "--hsm-token",
      "--hsm-pin-file",
    ]);
  });
});

describe("building the addon", () => {
  test("says what is missing", async () => {
    await expect(buildAddon({ compiler: "no-such-compiler" })).rejects.toMatchObject({
      code: "AddonNotBuilt",
      message: "The C++ compiler no-such-compiler does not start.",
    });
    await expect(buildAddon({ nodeHeaders: cli.path("nowhere") })).rejects.toThrow(
      "There are no Node headers",
    );
    const broken = cli.path("broken.cc");
    writeFileSync(broken, "this is no C++\n");
    const output = cli.path("out/addon.node");
    await expect(buildAddon({ sources: [broken], output })).rejects.toThrow("The compiler failed");
    expect(existsSync(output)).toBe(false);
  });
});
