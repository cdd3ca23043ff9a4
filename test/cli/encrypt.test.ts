/** encrypt, decrypt and data-key: files and pipes, whole outputs or none, and what tampering comes to. */

import { once } from "node:events";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import { Kms } from "../../src/index.ts";
import { sqliteStore } from "../../src/stores/sqlite.ts";
import { decryptAll, encryptAll, pattern } from "../operations/stream-support.ts";
import { finish, useCli } from "./support.ts";

const cli = useCli();
const CONTEXT = ["--context", "app=shop", "--context", "table=orders"];
const PLAINTEXT = pattern(200_000);

beforeAll(async () => {
  await cli.text(["alias", "create", "alias/files", await cli.text(["key", "create"])]);
  writeFileSync(cli.path("plain"), PLAINTEXT);
  await cli.text(["encrypt", "--key", "alias/files", ...CONTEXT, "plain", "-o", "sealed"]);
});

/** Files of the folder; none may stay behind that a command did not mean to make. */
function listing(): string[] {
  return readdirSync(cli.path(".")).sort();
}

async function expectNoTrace(name: string, args: readonly string[], code = 1): Promise<string> {
  const before = listing();
  const run = await cli.run([...args, "-o", name]);
  expect(run.code).toBe(code);
  expect(listing()).toEqual(before);
  return run.stderr;
}

describe("encrypt and decrypt", () => {
  test("give a file back; what is decrypted is its owner's alone", async () => {
    await cli.text(["decrypt", ...CONTEXT, "sealed", "-o", "opened"]);
    expect(Buffer.compare(readFileSync(cli.path("opened")), PLAINTEXT)).toBe(0);
    expect(statSync(cli.path("opened")).mode & 0o777).toBe(0o600);
  });

  test("work in pipes, without a word on standard error", async () => {
    for (const plaintext of [new Uint8Array(0), pattern(1), pattern(150_000)]) {
      const sealed = await cli.run(["encrypt", "--key", "alias/files"], { input: plaintext });
      expect(sealed).toMatchObject({ code: 0, stderr: "" });
      const opened = await cli.run(["decrypt"], { input: sealed.stdout });
      expect(opened).toMatchObject({ code: 0, stderr: "" });
      expect(Buffer.compare(opened.stdout, plaintext)).toBe(0);
    }
  });

  test("share their format with the library", async () => {
    const kms = await Kms.open({
      store: sqliteStore({ file: cli.path("store.db") }),
      rootKey: { file: cli.path("root.key") },
    });
    const context = { app: "shop", table: "orders" };
    const made = await encryptAll(kms, "alias/files", pattern(70_000), context);
    const { released } = await decryptAll(kms, readFileSync(cli.path("sealed")), {
      encryptionContext: context,
    });
    await kms.close();
    expect(Buffer.compare(released, PLAINTEXT)).toBe(0);
    const opened = await cli.run(["decrypt", ...CONTEXT], { input: made });
    expect(Buffer.compare(opened.stdout, pattern(70_000))).toBe(0);
  });

  test("say in JSON what they read and wrote", async () => {
    expect(await cli.json(["decrypt", ...CONTEXT, "sealed", "-o", "opened"])).toEqual({
      input: "sealed",
      output: "opened",
      bytesRead: statSync(cli.path("sealed")).size,
      bytesWritten: PLAINTEXT.length,
    });
  });

  test("replace their own input only when they are done", async () => {
    writeFileSync(cli.path("same"), PLAINTEXT);
    await cli.text(["encrypt", "--key", "alias/files", "same", "-o", "same"]);
    await cli.text(["decrypt", "same", "-o", "same"]);
    expect(Buffer.compare(readFileSync(cli.path("same")), PLAINTEXT)).toBe(0);
  });

  test("follow a link and write to a device as it is", async () => {
    writeFileSync(cli.path("target"), "old");
    symlinkSync("target", cli.path("link"));
    await cli.text(["decrypt", ...CONTEXT, "sealed", "-o", "link"]);
    expect(lstatSync(cli.path("link")).isSymbolicLink()).toBe(true);
    expect(readFileSync(cli.path("target"))).toHaveLength(PLAINTEXT.length);
    await cli.text(["decrypt", ...CONTEXT, "sealed", "-o", "/dev/null"]);
    expect(statSync("/dev/null").isCharacterDevice()).toBe(true);
  });
});

describe("nothing is left behind", () => {
  test("by a wrong context, none, or another key", async () => {
    const message = "keyplane: InvalidCiphertext: The ciphertext cannot be opened.\n";
    expect(await expectNoTrace("no", ["decrypt", "--context", "app=shop", "sealed"])).toBe(message);
    expect(await expectNoTrace("no", ["decrypt", "sealed"])).toBe(message);
    const other = await cli.text(["key", "create"]);
    expect(await expectNoTrace("no", ["decrypt", ...CONTEXT, "--key", other, "sealed"])).toBe(message);
  });

  test("[STR-12] by a file that was changed, cut or is none, even after good frames", async () => {
    const sealed = readFileSync(cli.path("sealed"));
    const flipped = Buffer.from(sealed);
    flipped[sealed.length - 1] = (flipped[sealed.length - 1] ?? 0) ^ 1;
    const cut = sealed.subarray(0, 94 + 2 * 65_552);
    for (const bad of [
      flipped,
      cut,
      Buffer.concat([sealed, sealed]),
      Buffer.from("hello"),
      Buffer.alloc(0),
    ]) {
      writeFileSync(cli.path("bad"), bad);
      expect(await expectNoTrace("no", ["decrypt", ...CONTEXT, "bad"])).toMatch(
        /^keyplane: InvalidCiphertext: /,
      );
    }
  });

  test("and an output that existed stays as it was", async () => {
    writeFileSync(cli.path("kept"), "precious");
    await expectNoTrace("kept", ["decrypt", "sealed"]);
    expect(readFileSync(cli.path("kept"), "utf8")).toBe("precious");
  });

  test("by an input or a folder that is not there", async () => {
    expect(await expectNoTrace("no", ["encrypt", "--key", "alias/files", "absent"])).toMatch(
      /^keyplane: ENOENT: /,
    );
    expect(await expectNoTrace("no/no", ["encrypt", "--key", "alias/files", "plain"])).toMatch(
      /^keyplane: ENOENT: /,
    );
    mkdirSync(cli.path("folder"));
    expect(await expectNoTrace("folder", ["encrypt", "--key", "alias/files", "plain"])).toMatch(
      /^keyplane: EISDIR: /,
    );
    expect(await expectNoTrace("no", ["encrypt", "--key", "alias/files", "folder"])).toMatch(
      /^keyplane: EISDIR: /,
    );
    expect(await expectNoTrace("no", ["encrypt", "--key", "alias/none", "plain"])).toMatch(
      /^keyplane: Forbidden\.KeyNotFound: /,
    );
  });

  test.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const)("by %s in the middle of a pipe: exit code %i", async (signal, code) => {
    const before = listing();
    const child = cli.start(["encrypt", "--key", "alias/files", "-o", "half"]);
    const finished = finish(child);
    child.stdin?.write(pattern(1_000_000));
    await expect
      .poll(() => listing().some((name) => name.startsWith(".half.")), { timeout: 10_000 })
      .toBe(true);
    child.kill(signal);
    expect(await finished).toMatchObject({
      code,
      stderr: "keyplane: Cancelled: The command was cancelled.\n",
    });
    expect(listing()).toEqual(before);
    expect(await cli.text(["key", "list"])).toContain("alias/files");
  });

  test("by a reader that goes away", async () => {
    writeFileSync(cli.path("large"), pattern(4_000_000));
    const child = cli.start(["encrypt", "--key", "alias/files", "large"]);
    const closed = finish(child);
    child.stdout?.once("data", () => child.stdout?.destroy());
    await once(child, "exit");
    expect(await closed).toMatchObject({ code: 1 });
    expect((await closed).stderr).toMatch(/^keyplane: EPIPE: .*\n$/);
  });
});

describe("data-key", () => {
  test("writes the key for its owner alone, and decrypt opens its sealed form", async () => {
    const args = ["data-key", "--key", "alias/files", "--context", "a=b"];
    await cli.text([...args, "--plaintext-out", "dk", "-o", "dk.sealed"]);
    const key = readFileSync(cli.path("dk"));
    expect(key).toHaveLength(32);
    expect(statSync(cli.path("dk")).mode & 0o777).toBe(0o600);
    const opened = await cli.run(["decrypt", "--context", "a=b", "dk.sealed"]);
    expect(Buffer.compare(opened.stdout, key)).toBe(0);
    expect(await expectNoTrace("no", ["decrypt", "dk.sealed"])).toMatch(/^keyplane: InvalidCiphertext: /);
  });

  test("never prints the key", async () => {
    const run = await cli.run([
      "data-key",
      "--key",
      "alias/files",
      "--bytes",
      "48",
      "--plaintext-out",
      "dk2",
      "--json",
    ]);
    expect(run).toMatchObject({ code: 0, stderr: "" });
    const key = readFileSync(cli.path("dk2"));
    const document = JSON.parse(run.stdout.toString()) as Record<string, string>;
    expect(document).not.toHaveProperty("plaintext");
    for (const form of ["hex", "base64", "latin1"] as const) {
      expect(run.stdout.toString("latin1")).not.toContain(key.toString(form));
    }
    const opened = await cli.run(["decrypt"], {
      input: Buffer.from(document["ciphertextBlob"] ?? "", "base64"),
    });
    expect(Buffer.compare(opened.stdout, key)).toBe(0);
  });

  test("leaves no key when the sealed form cannot be written, and no file for both", async () => {
    const args = ["data-key", "--key", "alias/files", "--plaintext-out"];
    expect((await cli.run([...args, "dk3", "-o", "no/no"])).code).toBe(1);
    expect((await cli.run([...args, "dk3", "-o", "./dk3"])).code).toBe(2);
    expect((await cli.run([...args, "-"])).code).toBe(2);
    expect(existsSync(cli.path("dk3"))).toBe(false);
    expect(listing().filter((name) => name.endsWith(".tmp"))).toEqual([]);
  });
});
