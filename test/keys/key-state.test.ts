/**
 * The state table, cell by cell, against a second copy written out by hand from the vendor's "Impact of CMK status on
 * API calls": once as data, once through every call of the facade.
 */

import { beforeAll, describe, expect, test } from "vitest";
import { KmsError } from "../../src/errors.ts";
import { Kms } from "../../src/index.ts";
import { type KeyAction, type KeyState, STATE_TABLE, stateAfter } from "../../src/keys/key-state.ts";
import { openKms, outcome } from "./support/kms.ts";

const STATES: readonly KeyState[] = ["Enabled", "Disabled", "PendingDeletion", "PendingImport"];

type Expected = readonly [KeyAction, string, string, string, string];

/** Action, then what it does in Enabled, Disabled, PendingDeletion and PendingImport: the next state or the refusal. */
const TABLE: readonly Expected[] = [
  ["Use", "Enabled", "Rejected.Disabled", "Rejected.PendingDeletion", "Rejected.PendingImport"],
  ["RotateKey", "Enabled", "Rejected.Disabled", "Rejected.PendingDeletion", "Rejected.PendingImport"],
  [
    "UpdateRotationPolicy",
    "Enabled",
    "Rejected.Disabled",
    "Rejected.PendingDeletion",
    "Rejected.PendingImport",
  ],
  ["CreateKeyVersion", "Enabled", "Rejected.Disabled", "Rejected.PendingDeletion", "Rejected.PendingImport"],
  [
    "SetDeletionProtection",
    "Enabled",
    "Rejected.Disabled",
    "Rejected.PendingDeletion",
    "Rejected.PendingImport",
  ],
  ["UpdateKeyDescription", "Enabled", "Disabled", "Rejected.PendingDeletion", "PendingImport"],
  ["TagResource", "Enabled", "Disabled", "Rejected.PendingDeletion", "PendingImport"],
  ["EnableKey", "Enabled", "Enabled", "Rejected.StateModifiedFailed", "Rejected.StateModifiedFailed"],
  ["DisableKey", "Disabled", "Disabled", "Rejected.StateModifiedFailed", "Rejected.StateModifiedFailed"],
  [
    "ScheduleKeyDeletion",
    "PendingDeletion",
    "PendingDeletion",
    "Rejected.StateModifiedFailed",
    "PendingDeletion",
  ],
  [
    "CancelKeyDeletion",
    "Rejected.StateModifiedFailed",
    "Rejected.StateModifiedFailed",
    "Enabled",
    "Rejected.StateModifiedFailed",
  ],
  ["CreateAlias", "Enabled", "Disabled", "Rejected.StateModifiedFailed", "PendingImport"],
  ["UpdateAlias", "Enabled", "Disabled", "Rejected.PendingDeletion", "PendingImport"],
  ["DeleteAlias", "Enabled", "Disabled", "PendingDeletion", "PendingImport"],
  ["Describe", "Enabled", "Disabled", "PendingDeletion", "PendingImport"],
  ["GetParametersForImport", "Enabled", "Disabled", "PendingDeletion", "PendingImport"],
  ["ImportKeyMaterial", "Enabled", "Disabled", "Rejected.StateModifiedFailed", "Enabled"],
  ["DeleteKeyMaterial", "PendingImport", "PendingImport", "PendingDeletion", "PendingImport"],
  ["MaterialExpiry", "PendingImport", "PendingImport", "PendingDeletion", "PendingImport"],
];

test("the table has the actions listed here and no others", () => {
  expect(Object.keys(STATE_TABLE).sort()).toEqual(TABLE.map(([action]) => action).sort());
});

describe.each(TABLE)("%s", (action, ...cells) => {
  test.each(STATES.map((state, index) => [state, cells[index] as string]))(
    "in %s gives %s",
    (state, cell) => {
      let result: string;
      try {
        result = stateAfter(action, state);
      } catch (error) {
        expect(error).toBeInstanceOf(KmsError);
        result = (error as KmsError).code;
        expect((error as KmsError).httpStatus).toBe(409);
      }
      expect(result).toBe(cell);
    },
  );
});

/** What a call works on: keys of every kind in one state, and things made while they were enabled. */
interface Subject {
  readonly kms: Kms;
  readonly aes: string;
  readonly ec: string;
  readonly mac: string;
  /** Enabled, whatever the state of the others. */
  readonly other: string;
  readonly detached: { readonly ciphertextBlob: Uint8Array; readonly iv: Uint8Array };
  readonly blob: Uint8Array;
  readonly otherBlob: Uint8Array;
  readonly signature: Uint8Array;
  readonly macBytes: Uint8Array;
  readonly keyVersionId: string;
  readonly spki: Uint8Array;
}

const plaintext = new Uint8Array(32).fill(1);
const message = new Uint8Array(5).fill(2);

let spki: Uint8Array;

beforeAll(async () => {
  const kms = await Kms.open();
  const { keyId } = await kms.createKey({ keySpec: "RSA_2048" });
  spki = (await kms.getPublicKey({ keyId })).publicKeyDer;
  await kms.close();
});

async function subject(state: Exclude<KeyState, "PendingImport">): Promise<Subject> {
  const kms = await openKms();
  const { keyId: aes } = await kms.createKey();
  const { keyId: ec } = await kms.createKey({ keySpec: "EC_P256" });
  const { keyId: mac } = await kms.createKey({ keySpec: "HMAC_SHA_256" });
  const { keyId: other } = await kms.createKey();
  await kms.createAlias({ aliasName: "alias/mine", keyId: aes });
  await kms.createAlias({ aliasName: "alias/others", keyId: other });
  const { ciphertextBlob, iv } = await kms.encrypt({ keyId: aes, plaintext });
  const { ciphertextBlob: blob, keyVersionId } = await kms.advanceEncrypt({ keyId: aes, plaintext });
  const { ciphertextBlob: otherBlob } = await kms.advanceEncrypt({ keyId: other, plaintext });
  const { signature } = await kms.sign({ keyId: ec, message });
  const { mac: macBytes } = await kms.generateMac({ keyId: mac, message });
  for (const keyId of [aes, ec, mac]) {
    if (state === "Disabled") await kms.disableKey({ keyId });
    if (state === "PendingDeletion") await kms.scheduleKeyDeletion({ keyId, pendingWindowInDays: 7 });
  }
  const detached = { ciphertextBlob, iv: iv as Uint8Array };
  return { kms, aes, ec, mac, other, detached, blob, otherBlob, signature, macBytes, keyVersionId, spki };
}

const wrapping = { wrappingKeySpec: "RSA_2048", wrappingAlgorithm: "RSAES_OAEP_SHA_256" } as const;

/** Every call of the facade that depends on a key's state, by the row of the table it answers to. */
const CALLS: Readonly<Record<string, readonly [KeyAction, (on: Subject) => unknown]>> = {
  encrypt: ["Use", ({ kms, aes }) => kms.encrypt({ keyId: aes, plaintext })],
  encryptSync: ["Use", ({ kms, aes }) => kms.encryptSync({ keyId: aes, plaintext })],
  "encrypt by alias": ["Use", ({ kms }) => kms.encrypt({ keyId: "alias/mine", plaintext })],
  decrypt: ["Use", ({ kms, aes, detached }) => kms.decrypt({ keyId: aes, ...detached })],
  decryptSync: ["Use", ({ kms, aes, detached }) => kms.decryptSync({ keyId: aes, ...detached })],
  advanceEncrypt: ["Use", ({ kms, aes }) => kms.advanceEncrypt({ keyId: aes, plaintext })],
  advanceEncryptSync: ["Use", ({ kms, aes }) => kms.advanceEncryptSync({ keyId: aes, plaintext })],
  advanceDecrypt: ["Use", ({ kms, blob }) => kms.advanceDecrypt({ ciphertextBlob: blob })],
  advanceDecryptSync: ["Use", ({ kms, blob }) => kms.advanceDecryptSync({ ciphertextBlob: blob })],
  "advanceDecrypt with iv": [
    "Use",
    ({ kms, aes, detached }) => kms.advanceDecrypt({ keyId: aes, ...detached }),
  ],
  generateDataKey: ["Use", ({ kms, aes }) => kms.generateDataKey({ keyId: aes })],
  generateDataKeySync: ["Use", ({ kms, aes }) => kms.generateDataKeySync({ keyId: aes })],
  generateDataKeyWithoutPlaintext: [
    "Use",
    ({ kms, aes }) => kms.generateDataKeyWithoutPlaintext({ keyId: aes }),
  ],
  advanceGenerateDataKey: ["Use", ({ kms, aes }) => kms.advanceGenerateDataKey({ keyId: aes })],
  advanceGenerateDataKeySync: ["Use", ({ kms, aes }) => kms.advanceGenerateDataKeySync({ keyId: aes })],
  advanceGenerateDataKeyWithoutPlaintext: [
    "Use",
    ({ kms, aes }) => kms.advanceGenerateDataKeyWithoutPlaintext({ keyId: aes }),
  ],
  generateDataKeyPair: [
    "Use",
    ({ kms, aes }) => kms.generateDataKeyPair({ keyId: aes, keyPairSpec: "EC_P256", keyFormat: "DER" }),
  ],
  generateDataKeyPairWithoutPlaintext: [
    "Use",
    ({ kms, aes }) =>
      kms.generateDataKeyPairWithoutPlaintext({ keyId: aes, keyPairSpec: "EC_P256", keyFormat: "DER" }),
  ],
  advanceGenerateDataKeyPair: [
    "Use",
    ({ kms, aes }) =>
      kms.advanceGenerateDataKeyPair({ keyId: aes, keyPairSpec: "EC_P256", keyFormat: "DER" }),
  ],
  advanceGenerateDataKeyPairWithoutPlaintext: [
    "Use",
    ({ kms, aes }) =>
      kms.advanceGenerateDataKeyPairWithoutPlaintext({
        keyId: aes,
        keyPairSpec: "EC_P256",
        keyFormat: "DER",
      }),
  ],
  "reEncrypt from": [
    "Use",
    ({ kms, blob, other }) => kms.reEncrypt({ ciphertextBlob: blob, destinationKeyId: other }),
  ],
  "reEncrypt to": [
    "Use",
    ({ kms, aes, otherBlob }) => kms.reEncrypt({ ciphertextBlob: otherBlob, destinationKeyId: aes }),
  ],
  exportDataKey: [
    "Use",
    ({ kms, blob, spki }) => kms.exportDataKey({ ciphertextBlob: blob, publicKeyBlob: spki, ...wrapping }),
  ],
  generateAndExportDataKey: [
    "Use",
    ({ kms, aes, spki }) => kms.generateAndExportDataKey({ keyId: aes, publicKeyBlob: spki, ...wrapping }),
  ],
  sign: ["Use", ({ kms, ec }) => kms.sign({ keyId: ec, message })],
  verify: ["Use", ({ kms, ec, signature }) => kms.verify({ keyId: ec, message, signature })],
  getPublicKey: ["Use", ({ kms, ec }) => kms.getPublicKey({ keyId: ec })],
  generateMac: ["Use", ({ kms, mac }) => kms.generateMac({ keyId: mac, message })],
  verifyMac: ["Use", ({ kms, mac, macBytes }) => kms.verifyMac({ keyId: mac, message, mac: macBytes })],
  rotateKey: ["RotateKey", ({ kms, aes }) => kms.rotateKey({ keyId: aes })],
  enableKey: ["EnableKey", ({ kms, aes }) => kms.enableKey({ keyId: aes })],
  disableKey: ["DisableKey", ({ kms, aes }) => kms.disableKey({ keyId: aes })],
  scheduleKeyDeletion: [
    "ScheduleKeyDeletion",
    ({ kms, aes }) => kms.scheduleKeyDeletion({ keyId: aes, pendingWindowInDays: 30 }),
  ],
  cancelKeyDeletion: ["CancelKeyDeletion", ({ kms, aes }) => kms.cancelKeyDeletion({ keyId: aes })],
  createAlias: ["CreateAlias", ({ kms, aes }) => kms.createAlias({ aliasName: "alias/new", keyId: aes })],
  updateAlias: ["UpdateAlias", ({ kms, aes }) => kms.updateAlias({ aliasName: "alias/others", keyId: aes })],
  deleteAlias: ["DeleteAlias", ({ kms }) => kms.deleteAlias({ aliasName: "alias/mine" })],
  describeKey: ["Describe", ({ kms, aes }) => kms.describeKey({ keyId: aes })],
  listKeyVersions: ["Describe", ({ kms, aes }) => kms.listKeyVersions({ keyId: aes })],
  describeKeyVersion: [
    "Describe",
    ({ kms, aes, keyVersionId }) => kms.describeKeyVersion({ keyId: aes, keyVersionId }),
  ],
  listAliases: ["Describe", ({ kms, aes }) => kms.listAliases({ keyId: aes })],
  inspect: ["Describe", ({ kms, blob }) => kms.inspect({ ciphertextBlob: blob })],
};

const REACHABLE = ["Enabled", "Disabled", "PendingDeletion"] as const;

describe.each(REACHABLE.map((state, column) => [state, column] as const))("a key in %s", (state, column) => {
  test.each(Object.entries(CALLS))("answers %s as the table says", async (_name, [action, call]) => {
    const on = await subject(state);
    const cell = TABLE.find(([name]) => name === action)?.[column + 1] as string;
    const isNext = STATES.some((name) => name === cell);
    expect(await outcome(() => call(on))).toBe(isNext ? "ok" : cell);
    const { keyMetadata } = await on.kms.describeKey({ keyId: on.aes });
    expect(keyMetadata.keyState).toBe(isNext ? cell : state);
  });
});

test("updateAlias asks nothing of the key the alias comes from", async () => {
  const { kms, other } = await subject("PendingDeletion");
  expect(await outcome(() => kms.updateAlias({ aliasName: "alias/mine", keyId: other }))).toBe("ok");
});
