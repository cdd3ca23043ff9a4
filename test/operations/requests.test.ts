/** The edge of every call: what a request may look like, field by field. */

import { beforeAll, describe, expect, test } from "vitest";
import { Kms, KmsError } from "../../src/index.ts";
import { notBytes } from "../conformance/engine-support.ts";
import { newKey, openKms, patterned } from "../support/kms.ts";

type Kind =
  | "bytes"
  | "nullableBytes"
  | "string"
  | "choice"
  | "integer"
  | "boolean"
  | "context"
  | "nullableContext"
  | "tags";
interface Field {
  readonly kind: Kind;
  readonly required?: boolean;
}
const required = (kind: Kind): Field => ({ kind, required: true });
const optional = (kind: Kind): Field => ({ kind });
type Fields = Readonly<Record<string, Field>>;
type Call = (request: unknown) => unknown;

const AAD: Fields = { aad: optional("bytes"), encryptionContext: optional("context") };
const KEY: Fields = { keyId: required("string") };
const ALGORITHM: Fields = { algorithm: optional("string") };
const IV: Fields = { iv: optional("bytes") };
const DATA_KEY: Fields = { ...KEY, ...AAD, numberOfBytes: optional("integer"), keySpec: optional("choice") };
const PAIR: Fields = { ...KEY, ...AAD, keyPairSpec: required("choice"), keyFormat: optional("choice") };
const BLOB: Fields = { ciphertextBlob: required("bytes") };
const WRAPPING: Fields = {
  publicKeyBlob: required("bytes"),
  wrappingKeySpec: required("choice"),
  wrappingAlgorithm: required("choice"),
};
const SIGN: Fields = {
  ...KEY,
  ...ALGORITHM,
  message: required("bytes"),
  messageType: optional("choice"),
  signatureFormat: optional("choice"),
  lowS: optional("boolean"),
};
const PAGE: Fields = { pageNumber: optional("integer"), pageSize: optional("integer") };

/** Every method that takes a request, with the fields it knows. */
const METHODS: Readonly<Record<string, Fields>> = {
  encrypt: { ...KEY, plaintext: required("bytes"), ...ALGORITHM, ...AAD, ...IV },
  decrypt: { ...KEY, ...BLOB, ...ALGORITHM, ...AAD, ...IV },
  advanceEncrypt: { ...KEY, plaintext: required("bytes"), ...AAD, ...IV, ...ALGORITHM },
  advanceDecrypt: { ...BLOB, ...AAD, ...IV, ...ALGORITHM, keyId: optional("string") },
  generateDataKey: DATA_KEY,
  generateDataKeyWithoutPlaintext: DATA_KEY,
  advanceGenerateDataKey: DATA_KEY,
  advanceGenerateDataKeyWithoutPlaintext: DATA_KEY,
  generateDataKeyPair: PAIR,
  generateDataKeyPairWithoutPlaintext: PAIR,
  advanceGenerateDataKeyPair: PAIR,
  advanceGenerateDataKeyPairWithoutPlaintext: PAIR,
  reEncrypt: {
    ...BLOB,
    sourceAad: optional("bytes"),
    sourceEncryptionContext: optional("context"),
    destinationKeyId: optional("string"),
    destinationAad: optional("nullableBytes"),
    destinationEncryptionContext: optional("nullableContext"),
  },
  exportDataKey: { ...BLOB, ...AAD, ...WRAPPING },
  generateAndExportDataKey: { ...DATA_KEY, ...WRAPPING },
  sign: SIGN,
  verify: { ...SIGN, signature: required("bytes") },
  generateMac: { ...KEY, message: required("bytes"), ...ALGORITHM },
  verifyMac: { ...KEY, message: required("bytes"), mac: required("bytes"), ...ALGORITHM },
  getPublicKey: { ...KEY, keyVersionId: optional("string") },
  generateRandom: { length: required("integer") },
  inspect: BLOB,
  describeKey: KEY,
  listKeyVersions: { ...KEY, ...PAGE },
  describeKeyVersion: { ...KEY, keyVersionId: required("string") },
  rotateKey: KEY,
  enableKey: KEY,
  disableKey: KEY,
  scheduleKeyDeletion: { ...KEY, pendingWindowInDays: required("integer") },
  cancelKeyDeletion: KEY,
  createAlias: { ...KEY, aliasName: required("string") },
  updateAlias: { ...KEY, aliasName: required("string") },
  deleteAlias: { aliasName: required("string") },
  listKeys: PAGE,
  listAliases: { ...PAGE, keyId: optional("string") },
  createKey: {
    keySpec: optional("choice"),
    keyUsage: optional("choice"),
    origin: optional("choice"),
    protectionLevel: optional("choice"),
    description: optional("string"),
    tags: optional("tags"),
    enableAutomaticRotation: optional("boolean"),
  },
};
/** Calls whose whole request may be left out. */
const NO_REQUEST = ["listKeys", "listAliases", "createKey"];
const SYNC = [
  "encrypt",
  "decrypt",
  "advanceEncrypt",
  "advanceDecrypt",
  "generateDataKey",
  "advanceGenerateDataKey",
];

let kms: Kms;
const base: Record<string, Record<string, unknown>> = {};

beforeAll(async () => {
  kms = await openKms();
  const keyId = await newKey(kms);
  const rsaKeyId = await newKey(kms, { keySpec: "RSA_2048" });
  const hmacKeyId = await newKey(kms, { keySpec: "HMAC_SHA_256" });
  const { publicKeyDer } = await kms.getPublicKey({ keyId: rsaKeyId });
  const { ciphertextBlob } = await kms.advanceEncrypt({ keyId, plaintext: patterned(9) });
  const values: Record<string, unknown> = {
    keyId,
    ciphertextBlob,
    plaintext: patterned(9),
    keyPairSpec: "EC_P256",
    publicKeyBlob: publicKeyDer,
    wrappingKeySpec: "RSA_2048",
    wrappingAlgorithm: "RSAES_OAEP_SHA_256",
    message: patterned(9),
    signature: patterned(256),
    mac: patterned(32),
    length: 8,
    keyVersionId: (await kms.describeKey({ keyId })).keyMetadata.primaryKeyVersion,
    aliasName: "alias/none",
    pendingWindowInDays: 7,
  };
  for (const [method, known] of Object.entries(METHODS)) {
    const needed = Object.entries(known).filter(([, field]) => field.required === true);
    base[method] = Object.fromEntries(needed.map(([name]) => [name, values[name]]));
    if (method === "sign" || method === "verify" || method === "getPublicKey") base[method].keyId = rsaKeyId;
    if (method.endsWith("Mac")) base[method].keyId = hmacKeyId;
  }
});

/** Values that a field of this kind must not have. */
function wrongValues(kind: Kind): unknown[] {
  const others = [null, true, 7, "text", {}, [], Symbol("x"), () => 1, 7n];
  const withoutNull = others.slice(1);
  const bytes = notBytes().filter((value) => value !== undefined);
  const fakes = [
    Object.create(Uint8Array.prototype),
    new Proxy(new Uint8Array(12), {}),
    new DataView(new ArrayBuffer(12)),
    new ArrayBuffer(12),
    new Uint8ClampedArray(12),
  ];
  const contexts = [true, 7, "text", [], new Map(), { a: 1 }, { a: null }, { a: "\ud800" }, patterned(3)];
  switch (kind) {
    case "bytes":
      return [...bytes, ...fakes, ...others];
    case "nullableBytes":
      return [...bytes.filter((value) => value !== null), ...fakes, ...withoutNull];
    case "string":
      return [
        null,
        true,
        7,
        {},
        [],
        ["text"],
        Symbol("x"),
        new String("text"),
        patterned(3),
        "x".repeat(9000),
      ];
    case "choice":
      return [null, true, 7, {}, [], "no such choice", "", "__proto__", "toString"];
    case "integer":
      return [null, true, "7", {}, [], Number.NaN, 1.5, -1, 0, 2 ** 53, 7n];
    case "boolean":
      return [null, 0, 1, "true", {}, []];
    case "context":
      return [null, ...contexts];
    case "nullableContext":
      return contexts;
    case "tags":
      return [null, {}, "a=b", [null], [{}], [{ tagKey: 1, tagValue: "" }], new Array(1)];
  }
}

/** Gives each way to make a call: async, in a batch and, where there is one, sync. Each throws the refusal. */
function waysToCall(method: string): [string, Call][] {
  const methods = kms as unknown as Record<string, (request: unknown) => unknown>;
  const ways: [string, Call][] = [[method, async (request) => methods[method]?.(request)]];
  if (SYNC.includes(method)) ways.push([`${method}Sync`, (request) => methods[`${method}Sync`]?.(request)]);
  const batch = methods[`${method}Batch`];
  if (batch !== undefined) {
    ways.push([
      `${method}Batch`,
      async (request) => {
        const [item] = (await batch.call(kms, [request])) as [{ ok: boolean; error?: unknown }];
        if (!item.ok) throw item.error;
        return item;
      },
    ]);
  }
  return ways;
}

/** Makes a call in each way and fails unless each is refused with this code, naming the field. */
async function expectRefused(
  method: string,
  request: unknown,
  codes: string[],
  mention: string,
): Promise<void> {
  for (const [way, call] of waysToCall(method)) {
    let outcome: unknown = "answered";
    try {
      await call(request);
    } catch (error) {
      outcome = error;
    }
    expect(outcome, `${way} with a bad ${mention}`).toBeInstanceOf(KmsError);
    const { code, message, requestId } = outcome as KmsError;
    expect(codes, `${way}: ${message}`).toContain(code);
    expect(message).toContain(mention);
    expect(requestId, way).toMatch(/^[0-9a-f]{16}-[0-9a-z]+$/);
  }
}

test("the table has every method that takes a request", () => {
  const names = Object.getOwnPropertyNames(Object.getPrototypeOf(Kms.prototype)).filter(
    (name) => name !== "constructor" && name !== "close" && name !== "engine" && !/(Batch|Sync)$/.test(name),
  );
  expect(names.sort()).toEqual(Object.keys(METHODS).sort());
});

describe.each(Object.keys(METHODS))("%s", (method) => {
  const known = METHODS[method] ?? {};

  test("refuses a request that is no object", async () => {
    const wrong = [null, 7, "text", true, [], [{}], () => ({}), Symbol("x")];
    if (!NO_REQUEST.includes(method)) wrong.push(undefined as never);
    for (const request of wrong) await expectRefused(method, request, ["InvalidParameter"], "request");
  });

  test("refuses properties it does not know, own and inherited, and names them", async () => {
    for (const name of ["AAD", "aads", "context", "toString", "x".repeat(60)]) {
      await expectRefused(method, { ...base[method], [name]: undefined }, ["InvalidParameter"], name);
    }
    const hostile = { ...base[method] };
    Object.defineProperty(hostile, "__proto__", { value: { aad: patterned(1) }, enumerable: true });
    await expectRefused(method, hostile, ["InvalidParameter"], "__proto__");
    await expectRefused(
      method,
      Object.assign(Object.create({ extra: 1 }), base[method]),
      ["InvalidParameter"],
      "extra",
    );
  });

  test("refuses each field that is null or of a wrong type, and names it", async () => {
    for (const [name, { kind }] of Object.entries(known)) {
      for (const value of wrongValues(kind)) {
        await expectRefused(method, { ...base[method], [name]: value }, ["InvalidParameter"], name);
      }
    }
  });

  test("names each required field that is missing, absent or undefined", async () => {
    for (const [name, field] of Object.entries(known)) {
      if (field.required !== true) continue;
      const { [name]: _, ...rest } = base[method] ?? {};
      await expectRefused(method, rest, ["MissingParameter"], name);
      await expectRefused(method, { ...rest, [name]: undefined }, ["MissingParameter"], name);
      if (field.kind === "string")
        await expectRefused(method, { ...rest, [name]: "" }, ["MissingParameter"], name);
    }
  });
});

test("paddingMode is refused with GCM and OAEP, whatever it says", async () => {
  for (const paddingMode of ["PKCS7_PADDING", "NO_PADDING", "", null]) {
    for (const method of ["encrypt", "decrypt"]) {
      await expectRefused(method, { ...base[method], paddingMode }, ["InvalidParameter"], "paddingMode");
    }
  }
});

test("a field that is undefined is an absent one", async () => {
  for (const method of [
    "advanceEncrypt",
    "advanceDecrypt",
    "generateDataKey",
    "reEncrypt",
    "generateMac",
    "sign",
    "inspect",
  ]) {
    const undefinedFields = Object.fromEntries(
      Object.entries(METHODS[method] ?? {})
        .filter(([, f]) => f.required !== true)
        .map(([name]) => [name, undefined]),
    );
    const answer = await waysToCall(method)[0]?.[1]({ ...undefinedFields, ...base[method] });
    expect(answer).toHaveProperty("requestId");
  }
});

test("requests may be frozen, without a prototype, or have getters, each read once", async () => {
  const reads = new Map<string, number>();
  for (const method of [
    "encrypt",
    "advanceDecrypt",
    "generateDataKey",
    "reEncrypt",
    "sign",
    "verify",
    "verifyMac",
    "exportDataKey",
    "generateAndExportDataKey",
  ]) {
    reads.clear();
    const request: object = Object.create(null);
    for (const [name, value] of Object.entries(base[method] ?? {})) {
      const get = (): unknown => {
        reads.set(name, (reads.get(name) ?? 0) + 1);
        return value;
      };
      Object.defineProperty(request, name, { get, enumerable: true });
    }
    const answer = await waysToCall(method)[0]?.[1](Object.freeze(request));
    expect(answer).toHaveProperty("requestId");
    for (const [name, count] of reads) expect({ method, name, count }).toEqual({ method, name, count: 1 });
  }
});

test("no refusal repeats the bytes or the text it was given", async () => {
  const secret = "correct-horse-battery";
  for (const [method, known] of Object.entries(METHODS)) {
    for (const [name, { kind }] of Object.entries(known)) {
      if (kind !== "bytes" && kind !== "context") continue;
      for (const value of [secret, { [secret]: 1 }, [secret]]) {
        try {
          await waysToCall(method)[0]?.[1]({ ...base[method], [name]: value });
        } catch (error) {
          expect((error as KmsError).message).not.toContain(secret);
        }
      }
    }
  }
});
