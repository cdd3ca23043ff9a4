/** CreateKey, the describing and listing calls, names of keys: what they take, what they answer and what they refuse. */

import { beforeAll, describe, expect, test } from "vitest";
import type { CreateKeyRequest, KeySpec, Kms, Tag } from "../../src/index.ts";
import { DAY, openKms, outcome, START, TestClock } from "./support/kms.ts";
import { TestRows } from "./support/rows.ts";

const plaintext = new Uint8Array(16).fill(6);
const iso = (milliseconds: number): string => new Date(milliseconds).toISOString();

/** Lets a test pass what the types forbid. */
const odd = <T>(value: unknown): T => value as T;

describe("createKey", () => {
  const DEFAULTS: readonly (readonly [KeySpec, string, boolean])[] = [
    ["Aliyun_AES_256", "ENCRYPT/DECRYPT", true],
    ["Aliyun_AES_192", "ENCRYPT/DECRYPT", true],
    ["Aliyun_AES_128", "ENCRYPT/DECRYPT", true],
    ["RSA_2048", "SIGN/VERIFY", false],
    ["EC_P256", "SIGN/VERIFY", false],
    ["EC_P256K", "SIGN/VERIFY", false],
    ["HMAC_SHA_256", "GENERATE_VERIFY_MAC", false],
    ["HMAC_SHA_384", "GENERATE_VERIFY_MAC", false],
    ["HMAC_SHA_512", "GENERATE_VERIFY_MAC", false],
  ];

  test.each(DEFAULTS)("makes a %s for %s", async (keySpec, keyUsage, counts) => {
    const clock = new TestClock();
    const kms = await openKms({ clock: clock.read, region: "cn-test", accountId: "42" });
    const { keyId, keyMetadata } = await kms.createKey({ keySpec });
    expect(keyId).toMatch(/^key-[0-9a-z]{20}$/);
    expect(keyMetadata.primaryKeyVersion).toMatch(
      /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
    );
    expect(keyMetadata).toEqual({
      keyId,
      arn: `acs:kms:cn-test:42:key/${keyId}`,
      keyState: "Enabled",
      keyUsage,
      keySpec,
      origin: "Aliyun_KMS",
      protectionLevel: "SOFTWARE",
      creator: "42",
      creationDate: "2030-01-01T00:00:00.000Z",
      description: "",
      primaryKeyVersion: keyMetadata.primaryKeyVersion,
      automaticRotation: "Disabled",
      materialExpireTime: "",
      deletionProtection: "Disabled",
      ...(counts ? { usageCount: 0, usageLimit: 2 ** 32, rotationDue: false } : {}),
    });
    expect((await kms.describeKey({ keyId })).keyMetadata).toEqual(keyMetadata);
  });

  test("makes an AES-256 key if nothing is said, and RSA and EC keys for encryption if asked", async () => {
    const kms = await openKms();
    expect((await kms.createKey()).keyMetadata.keySpec).toBe("Aliyun_AES_256");
    const rsa = { keySpec: "RSA_2048", keyUsage: "ENCRYPT/DECRYPT" } as const;
    expect((await kms.createKey(rsa)).keyMetadata.keyUsage).toBe("ENCRYPT/DECRYPT");
    for (const keySpec of ["EC_P256", "EC_P256K"] as const) {
      const { keyMetadata } = await kms.createKey({ keySpec, keyUsage: "ENCRYPT/DECRYPT" });
      expect(keyMetadata).toMatchObject({ keySpec, keyUsage: "ENCRYPT/DECRYPT" });
    }
  });

  const REFUSED: readonly (readonly [string, CreateKeyRequest, string])[] = [
    ["an unknown spec", odd({ keySpec: "EC_SM2" }), "InvalidParameter"],
    ["a spec of Object.prototype", odd({ keySpec: "toString" }), "InvalidParameter"],
    ["a null spec", odd({ keySpec: null }), "InvalidParameter"],
    ["signing with AES", { keyUsage: "SIGN/VERIFY" }, "InvalidParameter"],
    ["MACs with EC", { keySpec: "EC_P256", keyUsage: "GENERATE_VERIFY_MAC" }, "InvalidParameter"],
    ["MACs with RSA", { keySpec: "RSA_2048", keyUsage: "GENERATE_VERIFY_MAC" }, "InvalidParameter"],
    ["imported material", { origin: "EXTERNAL" }, "Unsupported.Origin"],
    ["an unknown origin", odd({ origin: "external" }), "InvalidParameter"],
    ["an HSM", { protectionLevel: "HSM" }, "Unsupported.ProtectionLevel"],
    ["an unknown level", odd({ protectionLevel: "hardware" }), "InvalidParameter"],
    ["automatic rotation", { enableAutomaticRotation: true }, "Rejected.UnsupportedOperation"],
    ["a rotation interval", { rotationInterval: "30d" }, "InvalidParameter"],
    ["a misspelt field", odd({ keyspec: "RSA_2048" }), "InvalidParameter"],
    ["a long description", { description: "x".repeat(8193) }, "InvalidParameter"],
    ["a description that is no string", odd({ description: 1 }), "InvalidParameter"],
    ["a request that is no object", odd("Aliyun_AES_256"), "InvalidParameter"],
  ];

  test.each(REFUSED)("refuses %s", async (_what, request, code) => {
    const kms = await openKms();
    expect(await outcome(() => kms.createKey(request))).toBe(code);
    expect((await kms.listKeys()).totalCount).toBe(0);
  });

  test("keeps a description of 8192 characters through a restart", async () => {
    const rows = new TestRows();
    const kms = await openKms({ store: rows.handle() });
    const description = "é\ud800".repeat(4096);
    const { keyId } = await kms.createKey({ description });
    await kms.close();
    const later = await openKms({ store: rows.handle() });
    expect((await later.describeKey({ keyId })).keyMetadata.description).toBe(description);
  });

  const tag = (tagKey: unknown, tagValue: unknown): Tag => odd({ tagKey, tagValue });
  const twenty = Array.from({ length: 20 }, (_, i) => tag(`k${i}`, "v"));

  test.each([
    ["none", []],
    ["twenty", twenty],
    ["the whole alphabet", [tag("Az09/\\_-.+=:@", "Az09/\\_-.+=:@")]],
    ["128 characters", [tag("k".repeat(128), "v".repeat(128))]],
    ["an empty value", [tag("k", "")]],
    ["a key like a property of every object", [tag("__proto__", "v"), tag("constructor", "v")]],
  ])("takes tags: %s", async (_what, tags) => {
    const rows = new TestRows();
    const kms = await openKms({ store: rows.handle() });
    const { keyId } = await kms.createKey({ tags });
    await kms.close();
    const later = await openKms({ store: rows.handle() });
    expect(await outcome(() => later.describeKey({ keyId }))).toBe("ok");
  });

  test.each([
    ["21", [...twenty, tag("one-more", "v")]],
    ["a repeated key", [tag("k", "a"), tag("k", "b")]],
    ["an empty key", [tag("", "v")]],
    ["129 characters", [tag("k".repeat(129), "v")]],
    ["a long value", [tag("k", "v".repeat(129))]],
    ["a space", [tag("a b", "v")]],
    ["a line break at the end", [tag("a\n", "v")]],
    ["a letter outside the alphabet", [tag("k", "é")]],
    ["a key of the vendor", [tag("aliyun-x", "v")]],
    ["a key of the platform", [tag("acs:x", "v")]],
    ["no value", [tag("k", undefined)]],
    ["null", [null]],
    ["no list", { k: "v" }],
  ])("refuses tags: %s", async (_what, tags) => {
    const kms = await openKms();
    expect(await outcome(() => kms.createKey({ tags: odd(tags) }))).toBe("InvalidParameter");
  });

  test("reports progress and stops at a signal while it makes an RSA key", async () => {
    const kms = await openKms();
    const fractions: number[] = [];
    await kms.createKey({ keySpec: "RSA_2048" }, { onProgress: (fraction) => fractions.push(fraction) });
    expect(fractions.length).toBeGreaterThan(0);
    expect(fractions.every((fraction) => fraction >= 0 && fraction <= 1)).toBe(true);
    expect([...fractions].sort((a, b) => a - b)).toEqual(fractions);

    const reason = new Error("enough");
    const started = AbortSignal.abort(reason);
    await expect(kms.createKey({ keySpec: "RSA_2048" }, { signal: started })).rejects.toBe(reason);
    const controller = new AbortController();
    const creation = kms.createKey({ keySpec: "RSA_4096" }, { signal: controller.signal });
    controller.abort(reason);
    await expect(creation).rejects.toBe(reason);
    expect((await kms.listKeys()).totalCount).toBe(1);
  });
});

describe("describing calls", () => {
  test("tell the last rotation, the versions and which one is primary", async () => {
    const clock = new TestClock();
    const kms = await openKms({ clock: clock.read });
    const { keyId, keyMetadata } = await kms.createKey();
    expect(keyMetadata).not.toHaveProperty("lastRotationDate");
    const first = keyMetadata.primaryKeyVersion;
    clock.advance(DAY);
    const { keyVersionId: second } = await kms.rotateKey({ keyId });
    const described = (await kms.describeKey({ keyId })).keyMetadata;
    expect(described).toMatchObject({ primaryKeyVersion: second, lastRotationDate: iso(START + DAY) });
    expect(described.creationDate).toBe(iso(START));
    const listed = await kms.listKeyVersions({ keyId });
    expect(listed.keyVersions).toEqual([
      { keyId, keyVersionId: first, creationDate: iso(START), isPrimary: false },
      { keyId, keyVersionId: second, creationDate: iso(START + DAY), isPrimary: true },
    ]);
    await kms.advanceEncrypt({ keyId, plaintext });
    expect((await kms.describeKeyVersion({ keyId, keyVersionId: second })).keyVersion).toEqual({
      keyId,
      keyVersionId: second,
      creationDate: iso(START + DAY),
      isPrimary: true,
      usageCount: 1,
      usageLimit: 2 ** 32,
      rotationDue: false,
    });
  });

  test("tell the deletion date of keys that have one only", async () => {
    const clock = new TestClock();
    const kms = await openKms({ clock: clock.read });
    const { keyId } = await kms.createKey();
    await kms.scheduleKeyDeletion({ keyId, pendingWindowInDays: 7 });
    const { keyMetadata } = await kms.describeKey({ keyId });
    expect(keyMetadata).toMatchObject({ keyState: "PendingDeletion", deleteDate: iso(START + 7 * DAY) });
    await kms.cancelKeyDeletion({ keyId });
    expect((await kms.describeKey({ keyId })).keyMetadata).not.toHaveProperty("deleteDate");
  });

  test("describeKeyVersion finds no version of another key", async () => {
    const kms = await openKms();
    const { keyId } = await kms.createKey();
    const { keyMetadata } = await kms.createKey();
    const keyVersionId = keyMetadata.primaryKeyVersion;
    const refused = "Forbidden.KeyVersionNotFound";
    expect(await outcome(() => kms.describeKeyVersion({ keyId, keyVersionId }))).toBe(refused);
    expect(await outcome(() => kms.describeKeyVersion(odd({ keyId })))).toBe("MissingParameter");
  });

  test.each(["EC_P256", "HMAC_SHA_256", "RSA_2048"] as const)("rotateKey refuses a %s", async (keySpec) => {
    const kms = await openKms();
    const { keyId } = await kms.createKey({ keySpec });
    expect(await outcome(() => kms.rotateKey({ keyId }))).toBe("Rejected.UnsupportedOperation");
  });
});

describe("pages", () => {
  let kms: Kms;
  let keyIds: string[];
  const aliases = Array.from({ length: 45 }, (_, i) => `alias/${String(i).padStart(2, "0")}`);

  beforeAll(async () => {
    const { Kms: Class } = await import("../../src/index.ts");
    kms = await Class.open();
    for (let i = 0; i < 45; i++) await kms.createKey();
    keyIds = (await kms.listKeys({ pageSize: 100 })).keys.map((key) => key.keyId);
    const keyId = keyIds[0] as string;
    for (const aliasName of [...aliases].reverse()) await kms.createAlias({ aliasName, keyId });
    for (let i = 0; i < 44; i++) await kms.rotateKey({ keyId });
    return () => kms.close();
  });

  type Page = { names: readonly string[]; totalCount: number; pageNumber: number; pageSize: number };
  type Request = { pageNumber?: number; pageSize?: number };
  const lists: Record<string, (request: Request) => Promise<Page>> = {
    listKeys: async (request) => {
      const { keys, ...paging } = await kms.listKeys(request);
      return { names: keys.map((key) => key.keyId), ...paging };
    },
    listAliases: async (request) => {
      const { aliases: page, ...paging } = await kms.listAliases(request);
      return { names: page.map((alias) => alias.aliasName), ...paging };
    },
    listKeyVersions: async (request) => {
      const { keyVersions, ...paging } = await kms.listKeyVersions({
        keyId: keyIds[0] as string,
        ...request,
      });
      return { names: keyVersions.map((version) => version.keyVersionId), ...paging };
    },
  };

  test.each(Object.keys(lists))("of %s join to the whole list, in order", async (name) => {
    const list = lists[name] as (request: Request) => Promise<Page>;
    const whole = await list({ pageSize: 100 });
    expect(whole).toMatchObject({ totalCount: 45, pageNumber: 1, pageSize: 100 });
    expect(whole.names).toHaveLength(45);
    const first = await list({});
    expect(first).toMatchObject({ totalCount: 45, pageNumber: 1, pageSize: 20 });
    const joined: string[] = [];
    for (let pageNumber = 1; pageNumber <= 3; pageNumber++) {
      const page = await list({ pageNumber });
      expect(page.pageNumber).toBe(pageNumber);
      joined.push(...page.names);
    }
    expect(joined).toEqual(whole.names);
    expect((await list({ pageNumber: 45, pageSize: 1 })).names).toEqual(whole.names.slice(44));
    for (const pageNumber of [4, Number.MAX_SAFE_INTEGER]) {
      expect(await list({ pageNumber })).toMatchObject({ names: [], totalCount: 45 });
    }
  });

  test.each(Object.keys(lists))("of %s refuse numbers out of range", async (name) => {
    const list = lists[name] as (request: Request) => Promise<Page>;
    const bad = [
      { pageNumber: 0 },
      { pageNumber: -1 },
      { pageNumber: 1.5 },
      { pageSize: 0 },
      { pageSize: 101 },
    ];
    for (const request of [...bad, odd<Request>({ pageSize: "20" }), odd<Request>({ pageSize: null })]) {
      expect(await outcome(() => list(request))).toBe("InvalidParameter");
    }
    expect(await outcome(() => list(odd({ PageSize: 1 })))).toBe("InvalidParameter");
  });

  test("of listAliases are by name and can be of one key", async () => {
    const { aliases: page } = await kms.listAliases({ pageSize: 100 });
    expect(page.map((alias) => alias.aliasName)).toEqual(aliases);
    expect(page[0]).toEqual({
      aliasName: "alias/00",
      aliasArn: "acs:kms:local:0:alias/00",
      keyId: keyIds[0],
    });
    expect((await kms.listAliases({ keyId: keyIds[1] as string })).totalCount).toBe(0);
    expect((await kms.listAliases({ keyId: "alias/07" })).totalCount).toBe(45);
  });

  test("of listKeys name keys and their ARNs", async () => {
    const { keys } = await kms.listKeys({ pageSize: 1 });
    expect(keys).toEqual([{ keyId: keyIds[0], keyArn: `acs:kms:local:0:key/${keyIds[0]}` }]);
  });
});

describe("names of keys", () => {
  test("are its id, its ARN here and its aliases, and nothing else", async () => {
    const kms = await openKms({ region: "r", accountId: "1" });
    const { keyId } = await kms.createKey();
    await kms.createAlias({ aliasName: "alias/a", keyId });
    for (const name of [keyId, `acs:kms:r:1:key/${keyId}`, "alias/a"]) {
      expect((await kms.describeKey({ keyId: name })).keyMetadata.keyId).toBe(keyId);
    }
    const strangers = [
      `acs:kms:other:1:key/${keyId}`,
      `acs:kms:r:2:key/${keyId}`,
      `acs:kms:r:1:${keyId}`,
      `acs:kms:r:1:key/acs:kms:r:1:key/${keyId}`,
      `ACS:KMS:r:1:key/${keyId}`,
      "acs:kms:r:1:key/alias/a",
      "acs:kms:r:1:key/",
      keyId.toUpperCase(),
      ` ${keyId}`,
      "alias/A",
      "alias/",
      "a",
      "__proto__",
    ];
    for (const name of strangers) {
      expect(await outcome(() => kms.describeKey({ keyId: name })), name).toBe("Forbidden.KeyNotFound");
    }
    expect(await outcome(() => kms.describeKey({ keyId: "" }))).toBe("MissingParameter");
    expect(await outcome(() => kms.describeKey({ keyId: "k".repeat(2049) }))).toBe("InvalidParameter");
    expect(await outcome(() => kms.describeKey(odd({ keyId: null })))).toBe("InvalidParameter");
    expect(await outcome(() => kms.describeKey(odd({ keyId: [keyId] })))).toBe("InvalidParameter");
  });
});

describe("aliases", () => {
  test.each(["alias/a", "alias/A-z_0/9", `alias/${"x".repeat(255)}`, "alias//", "alias/key-0"])(
    "may be called %s",
    async (aliasName) => {
      const kms = await openKms();
      const { keyId } = await kms.createKey();
      await kms.createAlias({ aliasName, keyId });
      expect((await kms.describeKey({ keyId: aliasName })).keyMetadata.keyId).toBe(keyId);
    },
  );

  test.each([
    ["alias/", "InvalidParameter"],
    ["a", "InvalidParameter"],
    ["Alias/a", "InvalidParameter"],
    ["alias/a b", "InvalidParameter"],
    ["alias/a.b", "InvalidParameter"],
    ["alias/é", "InvalidParameter"],
    ["alias/a\n", "InvalidParameter"],
    [`alias/${"x".repeat(256)}`, "InvalidParameter"],
    ["alias/acs", "Unsupported.Alias"],
    ["alias/acs/kms", "Unsupported.Alias"],
    ["", "MissingParameter"],
  ])("may not be called %j", async (aliasName, code) => {
    const kms = await openKms();
    const { keyId } = await kms.createKey();
    expect(await outcome(() => kms.createAlias({ aliasName, keyId }))).toBe(code);
    expect(await outcome(() => kms.updateAlias({ aliasName, keyId }))).toBe(code);
    expect(await outcome(() => kms.deleteAlias({ aliasName }))).toBe(code);
  });

  test("are unique, move with updateAlias, end with deleteAlias, and outlive a restart", async () => {
    const rows = new TestRows();
    const kms = await openKms({ store: rows.handle() });
    const { keyId: one } = await kms.createKey();
    const { keyId: two } = await kms.createKey();
    await kms.createAlias({ aliasName: "alias/a", keyId: one });
    await kms.createAlias({ aliasName: "alias/b", keyId: one });
    await kms.createAlias({ aliasName: "alias/c", keyId: "alias/b" });
    for (const keyId of [one, two]) {
      expect(await outcome(() => kms.createAlias({ aliasName: "alias/a", keyId }))).toBe(
        "AliasAlreadyExists",
      );
    }
    await kms.updateAlias({ aliasName: "alias/b", keyId: two });
    await kms.deleteAlias({ aliasName: "alias/a" });
    expect(await outcome(() => kms.deleteAlias({ aliasName: "alias/a" }))).toBe("Forbidden.AliasNotFound");
    const update = { aliasName: "alias/a", keyId: one };
    expect(await outcome(() => kms.updateAlias(update))).toBe("Forbidden.AliasNotFound");
    const unknown = { aliasName: "alias/b", keyId: "key-none" };
    expect(await outcome(() => kms.updateAlias(unknown))).toBe("Forbidden.KeyNotFound");
    const before = (await kms.listAliases()).aliases;
    expect(before.map(({ aliasName, keyId }) => [aliasName, keyId])).toEqual([
      ["alias/b", two],
      ["alias/c", one],
    ]);
    await kms.close();
    const later = await openKms({ store: rows.handle() });
    expect((await later.listAliases()).aliases).toEqual(before);
    await later.createAlias({ aliasName: "alias/a", keyId: two });
  });

  test("follow rotation: a call by alias seals under the newest version", async () => {
    const kms = await openKms();
    const { keyId } = await kms.createKey();
    await kms.createAlias({ aliasName: "alias/a", keyId });
    const { keyVersionId } = await kms.rotateKey({ keyId: "alias/a" });
    expect((await kms.advanceEncrypt({ keyId: "alias/a", plaintext })).keyVersionId).toBe(keyVersionId);
  });
});
