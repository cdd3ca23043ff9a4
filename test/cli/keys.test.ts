/** The command's store, keys and aliases: what it makes, prints and refuses, and its exit codes. */

import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { useCli } from "./support.ts";

const cli = useCli({ init: false });

/** Names a store and root key of their own. */
function files(name: string): { env: Record<string, string> } {
  return { env: { KEYPLANE_STORE: cli.path(`${name}.db`), KEYPLANE_ROOT_KEY_FILE: cli.path(`${name}.key`) } };
}

function modeOf(name: string): number {
  return statSync(cli.path(name)).mode & 0o777;
}

describe("init", () => {
  test("makes a root key file and a store for their owner alone, and says so", async () => {
    const result = await cli.json(["init"]);
    expect(result).toMatchObject({ sealedUnder: "root key file", rootKeyCreated: true });
    expect(modeOf("root.key")).toBe(0o600);
    expect(modeOf("store.db")).toBe(0o600);
    expect(readFileSync(cli.path("root.key"))).toHaveLength(32);
  });

  test("leaves a store that exists as it is", async () => {
    const before = readFileSync(cli.path("store.db"));
    const again = await cli.run(["init"]);
    expect(again.code).toBe(1);
    expect(again.stderr).toMatch(/^keyplane: StoreExists: /);
    expect(readFileSync(cli.path("store.db"))).toEqual(before);
  });

  test("takes a root key file that exists", async () => {
    const options = { env: { ...files("second").env, KEYPLANE_ROOT_KEY_FILE: cli.path("root.key") } };
    expect(await cli.json(["init"], options)).toMatchObject({ rootKeyCreated: false });
    expect(await cli.text(["key", "list"], options)).toBe("");
  });

  test("leaves nothing behind when it fails", async () => {
    writeFileSync(cli.path("short.key"), "five!", { mode: 0o600 });
    const failed = await cli.run(["init"], files("short"));
    expect(failed).toMatchObject({ code: 1 });
    expect(failed.stderr).toMatch(/^keyplane: InvalidRootKey: /);
    expect(existsSync(cli.path("short.db"))).toBe(false);
    expect(readFileSync(cli.path("short.key"), "utf8")).toBe("five!");

    const env = { KEYPLANE_STORE: cli.path("nowhere/x.db"), KEYPLANE_ROOT_KEY_FILE: cli.path("fresh.key") };
    expect((await cli.run(["init"], { env })).code).toBe(1);
    expect(existsSync(cli.path("fresh.key"))).toBe(false);
  });
});

describe("the root key", () => {
  const PASSPHRASE = "correct horse battery staple";

  test("comes from a passphrase in a file or in the environment, and is never shown", async () => {
    writeFileSync(cli.path("pass.txt"), `${PASSPHRASE}\n`);
    writeFileSync(cli.path("wrong.txt"), "Tr0ub4dor&3");
    const env = { KEYPLANE_STORE: cli.path("pass.db"), KEYPLANE_ROOT_KEY_FILE: "" };
    const byFile = ["--passphrase-file", cli.path("pass.txt")];
    const runs = [
      await cli.run([...byFile, "init"], { env }),
      await cli.run([...byFile, "key", "create"], { env }),
      await cli.run(["key", "list"], { env: { ...env, KEYPLANE_PASSPHRASE: PASSPHRASE } }),
    ];
    expect(runs.map((run) => run.code)).toEqual([0, 0, 0]);
    expect(runs[2]?.stdout.toString()).toContain(runs[1]?.stdout.toString().trim());
    const wrong = await cli.run(["--passphrase-file", cli.path("wrong.txt"), "key", "list"], { env });
    expect(wrong.code).toBe(1);
    expect(wrong.stderr).toBe("keyplane: InvalidRootKey: The root key does not open this store.\n");
    for (const { stdout, stderr } of [...runs, wrong]) {
      expect(stdout.toString() + stderr).not.toMatch(/correct|horse|battery|staple|Tr0ub4dor/);
    }
  });

  test("is not asked for without a terminal: exit code 2", async () => {
    const run = await cli.run(["key", "list"], { env: { KEYPLANE_ROOT_KEY_FILE: "" } });
    expect(run.code).toBe(2);
    expect(run.stderr).toMatch(/^keyplane: Usage: No root key/);
  });

  test("has one source", async () => {
    const both = await cli.run(["--root-key", "a", "--passphrase-file", "b", "key", "list"]);
    expect(both).toMatchObject({
      code: 2,
      stderr: "keyplane: Usage: --root-key and --passphrase-file exclude each other.\n",
    });
    expect((await cli.run(["key", "list"], { env: { KEYPLANE_PASSPHRASE: "x" } })).code).toBe(2);
  });

  test("file must be its owner's alone", async () => {
    writeFileSync(cli.path("open.key"), new Uint8Array(32), { mode: 0o644 });
    const run = await cli.run(["--root-key", cli.path("open.key"), "key", "list"]);
    expect(run.code).toBe(1);
    expect(run.stderr).toMatch(/^keyplane: InvalidRootKey: /);
  });

  test("cannot be put on the command line", async () => {
    for (const command of [[], ["init"], ["encrypt"], ["key"], ["data-key"]]) {
      const help = await cli.text([...command, "--help"]);
      expect(help).not.toMatch(/--(passphrase|password|pin|secret|plaintext)[ =]/);
    }
    const refused = await cli.run(["--passphrase", PASSPHRASE, "key", "list"]);
    expect(refused.code).toBe(2);
    expect(refused.stderr).not.toContain(PASSPHRASE);
  });
});

describe("key", () => {
  test("goes through its life, each step seen by the next command", async () => {
    const keyId = await cli.text(["key", "create", "--description", "a\u001b[31mred", "--tag", "team=a"]);
    expect(keyId).toMatch(/^key-[0-9a-z]{20}$/);
    const created = await cli.json(["key", "describe", keyId]);
    expect(created).toMatchObject({ keyId, keyState: "Enabled", keySpec: "Aliyun_AES_256", aliases: [] });

    await cli.text(["key", "disable", keyId]);
    const refused = await cli.run(["encrypt", "--key", keyId]);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(/^keyplane: Rejected\.Disabled: /);
    expect(refused.stdout).toHaveLength(0);
    await cli.text(["key", "enable", keyId]);

    const { keyVersionId } = await cli.json(["key", "rotate", keyId]);
    expect(await cli.json(["key", "describe", keyId])).toMatchObject({ primaryKeyVersion: keyVersionId });

    const scheduled = await cli.json(["key", "delete", keyId, "--days", "7"]);
    const days = (Date.parse(String(scheduled["deleteDate"])) - Date.now()) / 86_400_000;
    expect(days).toBeGreaterThan(6.9);
    expect(days).toBeLessThanOrEqual(7);
    expect(await cli.json(["key", "describe", keyId])).toMatchObject({ keyState: "PendingDeletion" });
    await cli.text(["key", "cancel-deletion", keyId]);
    expect(await cli.json(["key", "describe", keyId])).toMatchObject({ keyState: "Enabled" });
  });

  test("shows text of strangers without obeying it", async () => {
    const { keys } = (await cli.json(["key", "list"])) as { keys: { keyId: string; description: string }[] };
    const red = keys.find((key) => key.description.includes("\u001b"));
    const text = await cli.text(["key", "describe", red?.keyId ?? ""]);
    expect(text).toContain("a\\u001b[31mred");
    expect(text).not.toContain("\u001b");
  });

  test("has names, and lists them with itself", async () => {
    const [a, b] = [
      await cli.text(["key", "create"]),
      await cli.text(["key", "create", "--spec", "EC_P256"]),
    ];
    await cli.text(["alias", "create", "alias/one", a]);
    const taken = await cli.run(["alias", "create", "alias/one", b]);
    expect(taken).toMatchObject({ code: 1 });
    expect(taken.stderr).toMatch(/^keyplane: AliasAlreadyExists: /);
    expect(await cli.text(["alias", "list"])).toMatch(new RegExp(`^ALIAS +KEY\\nalias/one +${a}$`));
    await cli.text(["alias", "update", "alias/one", b]);
    expect(await cli.json(["alias", "list", "--key", b])).toMatchObject({
      aliases: [{ aliasName: "alias/one", keyId: b }],
      totalCount: 1,
    });
    expect(await cli.text(["key", "list"])).toMatch(
      new RegExp(`${b} +Enabled +EC_P256 +SIGN/VERIFY +alias/one`),
    );
    await cli.text(["alias", "delete", "alias/one"]);
    expect(await cli.json(["alias", "list"])).toMatchObject({ aliases: [], totalCount: 0 });
  });
});

describe("a command line", () => {
  test.each([
    [["bogus"]],
    [["encrypt"]],
    [["key", "create", "--bogus"]],
    [["key", "describe"]],
    [["key", "describe", "a", "b"]],
    [["key", "delete", "a", "--days", "6"]],
    [["key", "delete", "a", "--days", "1e1"]],
    [["random", "1025"]],
    [["random", "4", "--format", "octal"]],
    [["encrypt", "--key", "a", "--context", "novalue"]],
    [["encrypt", "--key", "a", "--context", "a=1", "--context", "a=2"]],
    [["encrypt", "--key", "a", "--json"]],
  ])("%j is not understood: exit code 2 and one line on standard error", async (args) => {
    const run = await cli.run(args);
    expect(run.code).toBe(2);
    expect(run.stderr).toMatch(/^keyplane: Usage: .+\n$/);
    expect(run.stdout).toHaveLength(0);
  });

  test("without a command shows the help: exit code 2", async () => {
    const run = await cli.run([]);
    expect(run.code).toBe(2);
    expect(run.stderr).toMatch(/^Usage: keyplane /);
  });

  test("names the version of the package", async () => {
    const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
      version: string;
    };
    expect(await cli.text(["--version"])).toBe(version);
  });

  test("for a store that is not there is refused, and makes none", async () => {
    const run = await cli.run(["key", "list"], files("absent"));
    expect(run.code).toBe(1);
    expect(run.stderr).toMatch(/^keyplane: NoStore: /);
    expect(readdirSync(cli.path("."))).not.toContain("absent.db");
  });

  test("waits for another one that holds the store", async () => {
    const runs = await Promise.all(Array.from({ length: 4 }, () => cli.run(["key", "create"])));
    expect(runs.map((run) => run.code)).toEqual([0, 0, 0, 0]);
    expect(new Set(runs.map((run) => run.stdout.toString())).size).toBe(4);
  });
});
