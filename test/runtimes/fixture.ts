/** The store that every guest opens: one key of each kind, made and sealed by this Node. */

import { randomBytes } from "node:crypto";
import { Kms } from "../../src/index.ts";
import { makeAnswers } from "./answers.ts";
import type { Role, SuiteRequest } from "./guest/protocol.ts";
import { rowsStore } from "./guest/support.ts";

const SPECS = {
  aes256: "Aliyun_AES_256",
  aes128: "Aliyun_AES_128",
  p256: "EC_P256",
  secp256k1: "EC_P256K",
  rsa: "RSA_2048",
  hmac: "HMAC_SHA_256",
} as const;

/** Makes what the requests to all guests have in common. */
export async function makeFixture(): Promise<Omit<SuiteRequest, "runtime" | "engines">> {
  const store = rowsStore([]);
  const rootKey = randomBytes(32);
  const kms = await Kms.open({ store: store as never, rootKey: { bytes: rootKey } });
  const keyIds: Partial<Record<Role, string>> = {};
  for (const [role, keySpec] of Object.entries(SPECS)) {
    const keyUsage = role === "rsa" ? "SIGN/VERIFY" : undefined;
    keyIds[role as Role] = (await kms.createKey({ keySpec, keyUsage })).keyId;
  }
  await kms.close();
  return {
    rootKey: rootKey.toString("hex"),
    rows: store.rows(),
    keyIds: keyIds as Record<Role, string>,
    answers: makeAnswers(),
  };
}
