/** Runs every kind of record of the native pool on SoftHSM2 and NSS, and compares with node:crypto. */

import {
  constants,
  createCipheriv,
  createDecipheriv,
  createHash,
  createPublicKey,
  publicEncrypt,
  randomBytes,
  verify,
} from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ResolvedKey } from "../../src/engines/hsm/addon.ts";
import { FLAG, HASH, IV_MODE, OP, REASON, STATE, STATUS } from "../../src/engines/hsm/record.ts";
import { type ModuleName, startModule, type TestModule, whyNot } from "../support/hsm-modules.ts";
import { CKM, CKO, Driver } from "../support/native-pool.ts";

const OAEP_HASH = { softhsm: { code: HASH.SHA1, name: "sha1" }, nss: { code: HASH.SHA256, name: "sha256" } };

/** Encodes an RSA public key from its parts. */
function rsaPublicKey(modulus: Uint8Array, exponent: Uint8Array) {
  const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64url");
  return createPublicKey({
    format: "jwk",
    key: { kty: "RSA", n: base64(modulus), e: base64(exponent) },
  });
}

function p256PublicKey(point: Uint8Array) {
  // A DER OCTET STRING around 04 ‖ x ‖ y.
  const raw = point.subarray(point.length - 64);
  const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64url");
  return createPublicKey({
    format: "jwk",
    key: { kty: "EC", crv: "P-256", x: base64(raw.subarray(0, 32)), y: base64(raw.subarray(32)) },
  });
}

describe.each<ModuleName>(["softhsm", "nss"])("the pool on %s", (name) => {
  const reason = whyNot(name);
  if (reason !== undefined && process.env["CI"] === "true") throw new Error(`${reason}; CI must have it`);
  if (reason !== undefined) {
    test.skip(`is not tested: ${reason}`, () => {});
    return;
  }
  let module: TestModule;
  let driver: Driver;
  let aes: ResolvedKey;
  const known = randomBytes(32);

  beforeAll(async () => {
    module = startModule(name);
    driver = new Driver(module);
    await driver.pool.open();
    aes = await driver.importAes("known", known);
  });

  afterAll(async () => {
    await driver?.close();
    module?.dispose();
  });

  test("opens by token label, logged in", async () => {
    expect(driver.pool.state()).toBe(STATE.READY);
    expect((await driver.pool.tokenInfo()).tokenLabel).toBe(module.tokenLabel);
    // CKS_RW_USER_FUNCTIONS
    expect(await driver.pool.sessionState()).toBe(3);
  });

  test("seals with AES-GCM what node:crypto opens, empty texts too", async () => {
    const inputs = [randomBytes(32), new Uint8Array(0), randomBytes(1), randomBytes(4096)];
    const aad = randomBytes(20);
    const requests = inputs.map((input, i) =>
      driver.encrypt(aes, input, { aux: i % 2 === 0 ? aad : new Uint8Array(0) }),
    );
    const outcomes = await driver.run(requests);
    for (const [i, outcome] of outcomes.entries()) {
      expect(outcome).toMatchObject({ status: STATUS.DONE, ckr: 0, reason: REASON.NONE });
      expect(outcome.iv).toEqual(Uint8Array.from(requests[i]?.iv ?? []));
      const decipher = createDecipheriv("aes-256-gcm", known, outcome.iv);
      decipher.setAAD(requests[i]?.aux ?? aad);
      decipher.setAuthTag(outcome.output.subarray(-16));
      const opened = Buffer.concat([decipher.update(outcome.output.subarray(0, -16)), decipher.final()]);
      expect(opened.equals(inputs[i] ?? aad)).toBe(true);
    }
  });

  test("opens what node:crypto sealed, and gives nothing for a wrong tag", async () => {
    const iv = randomBytes(12);
    const plaintext = randomBytes(100);
    const cipher = createCipheriv("aes-256-gcm", known, iv);
    const sealed = Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
    const tampered = Buffer.from(sealed);
    tampered[50] = (tampered[50] ?? 0) ^ 1;
    const [good, bad, again] = await driver.run([
      driver.decrypt(aes, iv, sealed),
      driver.decrypt(aes, iv, tampered),
      driver.decrypt(aes, iv, sealed),
    ]);
    expect(good?.output).toEqual(Uint8Array.from(plaintext));
    expect(bad?.status).toBe(STATUS.DONE);
    expect(bad?.ckr).not.toBe(0);
    expect(bad?.output).toHaveLength(0);
    expect(again?.output).toEqual(Uint8Array.from(plaintext));
  });

  test("leaves no plaintext of a failed decryption in the arena", async () => {
    const slot = driver.nextSlot;
    const outcome = await driver.runOne(driver.decrypt(aes, randomBytes(12), randomBytes(64)));
    expect(outcome.ckr).not.toBe(0);
    const view = new DataView(driver.arena.buffer, slot * 64, 64);
    const output = driver.bytes.subarray(view.getUint32(40, true), view.getUint32(40, true) + 64);
    expect(output.every((byte) => byte === 0)).toBe(true);
  });

  test("wipes the input when asked to", async () => {
    const slot = driver.nextSlot;
    const request = driver.encrypt(aes, randomBytes(64), { flags: FLAG.WIPE_INPUT });
    expect((await driver.runOne(request)).ckr).toBe(0);
    const view = new DataView(driver.arena.buffer, slot * 64, 64);
    const input = driver.bytes.subarray(view.getUint32(32, true), view.getUint32(32, true) + 64);
    expect(input.every((byte) => byte === 0)).toBe(true);
  });

  test("runs AES-CBC and AES-ECB as node:crypto does", async () => {
    const iv = randomBytes(16);
    const blocks = randomBytes(64);
    const text = randomBytes(50);
    const [cbc, padded, ecb] = await driver.run([
      { op: OP.ENCRYPT, mechanism: CKM.AES_CBC, key: aes.ref, iv, input: blocks, capacity: 64 },
      { op: OP.ENCRYPT, mechanism: CKM.AES_CBC_PAD, key: aes.ref, iv, input: text, capacity: 64 },
      { op: OP.ENCRYPT, mechanism: CKM.AES_ECB, key: aes.ref, input: blocks, capacity: 64 },
    ]);
    const node = (cipher: string, input: Uint8Array, pad: boolean) => {
      const made = createCipheriv(cipher, known, cipher.endsWith("ecb") ? null : iv).setAutoPadding(pad);
      return Uint8Array.from(Buffer.concat([made.update(input), made.final()]));
    };
    expect(cbc?.output).toEqual(node("aes-256-cbc", blocks, false));
    expect(padded?.output).toEqual(node("aes-256-cbc", text, true));
    expect(ecb?.output).toEqual(node("aes-256-ecb", blocks, false));
    const back = await driver.runOne({
      op: OP.DECRYPT,
      mechanism: CKM.AES_CBC_PAD,
      key: aes.ref,
      iv,
      input: padded?.output ?? text,
      capacity: 64,
    });
    expect(back.output).toEqual(Uint8Array.from(text));
  });

  test("signs with RSA and ECDSA what node:crypto verifies, and verifies itself", async () => {
    const rsa = await driver.rsaKeys("rsa");
    const ec = await driver.ecKeys("ec");
    const message = randomBytes(100);
    const digest = createHash("sha256").update(message).digest();
    const digestInfo = Buffer.concat([Buffer.from("3031300d060960864801650304020105000420", "hex"), digest]);
    const [pss, pkcs1, ecdsa] = await driver.run([
      driver.signPss(rsa.privateKey, digest),
      { op: OP.SIGN, mechanism: CKM.RSA_PKCS, key: rsa.privateKey.ref, input: digestInfo, capacity: 256 },
      driver.signEcdsa(ec.privateKey, digest),
    ]);
    const [modulus, exponent] = rsa.publicKey.attributes;
    const rsaKey = rsaPublicKey(modulus ?? message, exponent ?? message);
    const pssKey = { key: rsaKey, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 };
    expect(verify("sha256", message, pssKey, pss?.output ?? message)).toBe(true);
    expect(verify("sha256", message, rsaKey, pkcs1?.output ?? message)).toBe(true);
    const ecKey = p256PublicKey(ec.publicKey.attributes[2] ?? message);
    const ieee = { key: ecKey, dsaEncoding: "ieee-p1363" as const };
    expect(verify("sha256", message, ieee, ecdsa?.output ?? message)).toBe(true);

    const check = (signature: Uint8Array) => ({
      op: OP.VERIFY,
      mechanism: CKM.ECDSA,
      key: ec.publicKey.ref,
      input: digest,
      aux: signature,
    });
    const wrong = Uint8Array.from(ecdsa?.output ?? message);
    wrong[10] = (wrong[10] ?? 0) ^ 1;
    const [right, bad] = await driver.run([check(ecdsa?.output ?? message), check(wrong)]);
    expect(right).toMatchObject({ status: STATUS.DONE, ckr: 0 });
    expect(bad).toMatchObject({ status: STATUS.DONE, ckr: 0xc0 });
  });

  test("decrypts RSAES-OAEP that node:crypto encrypted", async () => {
    const { privateKey, publicKey } = await driver.rsaKeys("oaep");
    const hash = OAEP_HASH[name];
    const plaintext = randomBytes(32);
    const [modulus, exponent] = publicKey.attributes;
    const sealed = publicEncrypt(
      { key: rsaPublicKey(modulus ?? plaintext, exponent ?? plaintext), oaepHash: hash.name },
      plaintext,
    );
    const outcome = await driver.runOne({
      op: OP.DECRYPT,
      mechanism: CKM.RSA_OAEP,
      key: privateKey.ref,
      hash: hash.code,
      mgfHash: hash.code,
      input: sealed,
      capacity: 256,
    });
    expect(outcome).toMatchObject({ status: STATUS.DONE, ckr: 0 });
    expect(outcome.output).toEqual(Uint8Array.from(plaintext));
  });

  test("gives random bytes", async () => {
    const [first, second] = await driver.run([
      { op: OP.RANDOM, capacity: 32 },
      { op: OP.RANDOM, capacity: 32 },
    ]);
    expect(first?.output).toHaveLength(32);
    expect(first?.output).not.toEqual(second?.output);
  });

  test("refuses a bad record alone", async () => {
    const good = driver.encrypt(aes, randomBytes(16));
    const outcomes = await driver.run([
      good,
      { ...good, mechanism: 0x1234 },
      { ...good, key: 9999 },
      { ...good, ivMode: 9 },
      { ...good, capacity: 31 },
      { ...good, op: 77 },
      good,
    ]);
    expect(outcomes.map((each) => each.status)).toEqual([1, 4, 4, 4, 4, 4, 1]);
    expect(outcomes[1]?.reason).toBe(REASON.BAD_RECORD);
    expect(outcomes[2]?.reason).toBe(REASON.BAD_KEY_REF);
  });

  test("names a key that is not there, or there twice", async () => {
    const id = new TextEncoder().encode("nobody");
    const lookup = () => driver.pool.resolveKey({ id, class: CKO.SECRET_KEY }, []);
    await expect(lookup()).rejects.toMatchObject({ reason: "key-not-found" });
    await driver.importAes("nobody", randomBytes(32));
    await expect(lookup()).resolves.toMatchObject({ keyType: 0x1f });
    // NSS replaces a key of the same id.
    const second = driver.importAes("nobody", randomBytes(32));
    if (name === "nss") await second;
    else await expect(second).rejects.toMatchObject({ reason: "key-ambiguous" });
  });

  test("uses a session copy of a key when asked to", async () => {
    const copy = await driver.find("known", CKO.SECRET_KEY, true);
    expect(copy.sessionCopy).toBe(true);
    const plaintext = randomBytes(40);
    const sealed = await driver.runOne(driver.encrypt(copy, plaintext));
    const opened = await driver.runOne(driver.decrypt(aes, sealed.iv, sealed.output));
    expect(opened.output).toEqual(Uint8Array.from(plaintext));
    // The copy has the name of its key and must not be taken for a second one.
    expect((await driver.find("known", CKO.SECRET_KEY, true)).sessionCopy).toBe(true);
    driver.pool.releaseKey(copy.ref);
    expect((await driver.runOne(driver.encrypt(copy, plaintext))).reason).toBe(REASON.BAD_KEY_REF);
  });

  test("destroys objects by name alone", async () => {
    await driver.importAes("short-lived", randomBytes(16));
    const match = [[0x102, new TextEncoder().encode("short-lived")]] as const;
    expect(await driver.pool.find(match, [0x161], 10)).toEqual([[driver.addon.ulong(16)]]);
    expect(await driver.pool.destroyObjects(match)).toBe(1);
    expect(await driver.pool.destroyObjects(match)).toBe(0);
    await expect(driver.pool.destroyObjects([[0x0, driver.addon.ulong(4)]])).rejects.toMatchObject({
      reason: "bad-argument",
    });
  });

  test("lists mechanisms with their key sizes", async () => {
    const mechanisms = await driver.pool.mechanisms();
    const gcm = mechanisms.find((each) => each.type === CKM.AES_GCM);
    expect(gcm).toMatchObject({ minKeySize: 16, maxKeySize: 32 });
  });

  test.runIf(name === "nss")(
    "seals by messages of PKCS #11 3.0, with the token's IV or the host's",
    async () => {
      const plaintext = randomBytes(64);
      const aux = randomBytes(9);
      const sealed = await driver.run([
        driver.encrypt(aes, plaintext, { ivMode: IV_MODE.MESSAGE, iv: new Uint8Array(12), aux }),
        driver.encrypt(aes, plaintext, { ivMode: IV_MODE.MESSAGE_HOST_IV, aux }),
        driver.encrypt(aes, plaintext, { ivMode: IV_MODE.MESSAGE, iv: new Uint8Array(12), aux }),
      ]);
      expect(new Set(sealed.map((each) => Buffer.from(each.iv).toString("hex"))).size).toBe(3);
      for (const each of sealed) {
        expect(each).toMatchObject({ status: STATUS.DONE, ckr: 0 });
        const decipher = createDecipheriv("aes-256-gcm", known, each.iv).setAAD(aux);
        decipher.setAuthTag(each.output.subarray(-16));
        const opened = Buffer.concat([decipher.update(each.output.subarray(0, -16)), decipher.final()]);
        expect(opened.equals(plaintext)).toBe(true);
        const back = await driver.runOne(
          driver.decrypt(aes, each.iv, each.output, { ivMode: IV_MODE.MESSAGE, aux }),
        );
        expect(back.output).toEqual(Uint8Array.from(plaintext));
      }
      const tampered = Uint8Array.from(sealed[0]?.output ?? plaintext);
      tampered[3] = (tampered[3] ?? 0) ^ 1;
      const refused = await driver.runOne(
        driver.decrypt(aes, sealed[0]?.iv ?? aux, tampered, { ivMode: IV_MODE.MESSAGE, aux }),
      );
      expect(refused.ckr).not.toBe(0);
    },
  );
});
