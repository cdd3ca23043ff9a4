/** sign, verify, public-key, random and inspect, with signatures checked by other programs. */

import { spawnSync } from "node:child_process";
import { constants, createHash, createPublicKey, verify as nodeVerify } from "node:crypto";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import { pattern } from "../operations/stream-support.ts";
import { useCli } from "./support.ts";

const cli = useCli();
const MESSAGE = pattern(1000);

beforeAll(async () => {
  for (const [alias, spec] of [
    ["alias/ec", "EC_P256"],
    ["alias/rsa", "RSA_2048"],
    ["alias/aes", "Aliyun_AES_256"],
  ] as const) {
    await cli.text(["alias", "create", alias, await cli.text(["key", "create", "--spec", spec])]);
  }
  writeFileSync(cli.path("message"), MESSAGE);
});

describe("sign", () => {
  test("makes signatures that OpenSSL verifies with the public key", async () => {
    await cli.text(["sign", "--key", "alias/ec", "message", "-o", "message.sig"]);
    await cli.text(["public-key", "alias/ec", "-o", "ec.pem"]);
    const openssl = spawnSync(
      "openssl",
      ["dgst", "-sha256", "-verify", "ec.pem", "-signature", "message.sig", "message"],
      { cwd: cli.path("."), encoding: "utf8" },
    );
    const key = createPublicKey(readFileSync(cli.path("ec.pem"), "utf8"));
    expect(nodeVerify("sha256", MESSAGE, key, readFileSync(cli.path("message.sig")))).toBe(true);
    // Where there is no openssl command, node:crypto has spoken for it.
    if (openssl.error === undefined) expect(openssl.stdout).toBe("Verified OK\n");
  });

  test("signs digests as they are, with every option of the KMS", async () => {
    writeFileSync(cli.path("digest"), createHash("sha512").update(MESSAGE).digest());
    const args = ["sign", "--key", "alias/rsa", "--algorithm", "RSA_PSS_SHA_512", "--digest", "digest"];
    const { signature } = await cli.json(args);
    const pem = await cli.text(["public-key", "alias/rsa"]);
    const key = { key: createPublicKey(pem), padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 64 };
    expect(nodeVerify("sha512", MESSAGE, key, Buffer.from(String(signature), "base64"))).toBe(true);
    const p1363 = await cli.run(["sign", "--key", "alias/ec", "--signature-format", "P1363", "message"]);
    expect(p1363.stdout).toHaveLength(64);
  });

  test("refuses a message that is too long, naming the way out", async () => {
    writeFileSync(cli.path("long"), new Uint8Array(3 * 1024 * 1024 + 1));
    const run = await cli.run(["sign", "--key", "alias/ec", "long"]);
    expect(run.code).toBe(1);
    expect(run.stderr).toMatch(/^keyplane: InputTooLong: .*--digest/);
    expect(run.stdout).toHaveLength(0);
  });
});

describe("verify", () => {
  test("ends with 0 for a good signature and 3 for a bad one", async () => {
    await cli.text(["sign", "--key", "alias/ec", "message", "-o", "sig"]);
    const args = ["verify", "--key", "alias/ec", "--signature", "sig"];
    const good = await cli.run(args, { input: MESSAGE });
    expect(good).toMatchObject({ code: 0, stderr: "" });
    expect(good.stdout.toString()).toBe("good\n");
    const bad = await cli.run([...args, "--json"], { input: pattern(999) });
    expect(bad).toMatchObject({ code: 3, stderr: "" });
    expect(JSON.parse(bad.stdout.toString())).toMatchObject({ value: false });
    writeFileSync(cli.path("garbage"), "no signature");
    expect((await cli.run(["verify", "--key", "alias/ec", "--signature", "garbage", "message"])).code).toBe(
      3,
    );
    expect((await cli.run(["verify", "--key", "alias/aes", "--signature", "sig", "message"])).code).toBe(1);
  });
});

describe("public-key", () => {
  test("is PEM, DER or both in JSON", async () => {
    const pem = await cli.text(["public-key", "alias/ec"]);
    const der = createPublicKey(pem).export({ type: "spki", format: "der" });
    expect((await cli.run(["public-key", "alias/ec", "--der"])).stdout).toEqual(der);
    const document = await cli.json(["public-key", "alias/ec"]);
    expect(document).toMatchObject({ publicKey: `${pem}\n`, publicKeyDer: der.toString("base64") });
  });
});

describe("random", () => {
  test("has the length and form that is asked for", async () => {
    expect((await cli.run(["random", "100"])).stdout).toHaveLength(100);
    expect(await cli.text(["random", "8", "--format", "hex"])).toMatch(/^[0-9a-f]{16}$/);
    const { random } = await cli.json(["random", "8"]);
    expect(Buffer.from(String(random), "base64")).toHaveLength(8);
    await cli.text(["random", "32", "-o", "noise"]);
    expect(statSync(cli.path("noise")).size).toBe(32);
    expect(statSync(cli.path("noise")).mode & 0o777).toBe(0o600);
  });
});

describe("inspect", () => {
  test("tells streams from blobs and names the key version, certain of nothing", async () => {
    await cli.text(["encrypt", "--key", "alias/aes", "message", "-o", "stream"]);
    await cli.text(["data-key", "--key", "alias/aes", "-o", "blob"]);
    const { keyId, primaryKeyVersion: keyVersionId } = await cli.json(["key", "describe", "alias/aes"]);
    expect(await cli.json(["inspect", "stream"])).toEqual({
      format: "stream",
      formatVersion: 1,
      algorithm: "AES_256_GCM frames",
      frameLength: 65_536,
      keyVersionId,
      keyId,
      authenticated: false,
    });
    expect(await cli.json(["inspect", "blob"])).toMatchObject({
      format: "ciphertext-blob",
      keyVersionId,
      keyId,
    });
    expect(await cli.text(["inspect", "stream"])).toMatch(/^authenticated +false$/m);
  });

  test("needs neither store nor root key", async () => {
    const env = { KEYPLANE_STORE: cli.path("none.db"), KEYPLANE_ROOT_KEY_FILE: "" };
    const document = await cli.json(["inspect", "stream"], { env });
    expect(document).toHaveProperty("keyVersionId");
    expect(document).not.toHaveProperty("keyId");
  });

  test("refuses what is neither", async () => {
    const run = await cli.run(["inspect", "message"]);
    expect(run).toMatchObject({
      code: 1,
      stderr: "keyplane: InvalidCiphertext: The ciphertext cannot be opened.\n",
    });
  });
});
