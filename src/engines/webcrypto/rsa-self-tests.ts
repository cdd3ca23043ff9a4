/** Known-answer tests of the WebCrypto engine's RSA, one a scheme. */

import { concatBytes, equalBytesVartime } from "../../bytes.ts";
import type { AsyncSelfTest } from "../self-test.ts";
import { fromHex, RSA_ANSWER } from "../self-test-vectors.ts";
import { NO_LABEL, type Oaep, type Scheme } from "./rsa-arguments.ts";
import { importPrivate } from "./rsa-keys.ts";
import { decryptRaw, encryptRaw, signRaw, verifyRaw } from "./rsa-operations.ts";
import type { EngineState } from "./state.ts";

function flipLastBit(bytes: Uint8Array): Uint8Array {
  const flipped = new Uint8Array(bytes);
  flipped[flipped.length - 1] = (flipped[flipped.length - 1] ?? 0) ^ 1;
  return flipped;
}

const PKCS1: Scheme = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" };
const PSS: Scheme = { name: "RSA-PSS", hash: "SHA-256", saltLength: 32 };

export function pkcs1SelfTest(state: EngineState): AsyncSelfTest {
  return {
    name: "rsa-pkcs1",
    expected: concatBytes(fromHex(RSA_ANSWER.pkcs1), Uint8Array.of(0)),
    async compute() {
      const secret = await importPrivate(state, fromHex(RSA_ANSWER.pkcs8));
      const message = fromHex(RSA_ANSWER.message);
      const forged = await verifyRaw(state, secret, message, flipLastBit(fromHex(RSA_ANSWER.pkcs1)), PKCS1);
      return concatBytes(await signRaw(state, secret, message, PKCS1), Uint8Array.of(Number(forged)));
    },
  };
}

/** Verdicts on the stored signature, a changed one and a fresh one. */
export function pssSelfTest(state: EngineState): AsyncSelfTest {
  return {
    name: "rsa-pss",
    expected: Uint8Array.of(1, 0, 1),
    async compute() {
      const secret = await importPrivate(state, fromHex(RSA_ANSWER.pkcs8));
      const message = fromHex(RSA_ANSWER.message);
      const stored = fromHex(RSA_ANSWER.pss);
      const signatures = [stored, flipLastBit(stored), await signRaw(state, secret, message, PSS)];
      const verdicts = signatures.map((signature) => verifyRaw(state, secret, message, signature, PSS));
      return Uint8Array.from(await Promise.all(verdicts), Number);
    },
  };
}

export function oaepSelfTest(state: EngineState): AsyncSelfTest {
  return {
    name: "rsa-oaep",
    expected: fromHex(RSA_ANSWER.oaepPlaintext),
    async compute() {
      const secret = await importPrivate(state, fromHex(RSA_ANSWER.pkcs8));
      const oaep: Oaep = { hash: "SHA-256", label: fromHex(RSA_ANSWER.oaepLabel) };
      const stored = fromHex(RSA_ANSWER.oaep);
      const plaintext = (await decryptRaw(state, secret, stored, oaep)) ?? NO_LABEL;
      const fresh = await encryptRaw(state, secret, plaintext, oaep);
      const again = (await decryptRaw(state, secret, fresh, oaep)) ?? NO_LABEL;
      const forged = await decryptRaw(state, secret, flipLastBit(stored), oaep);
      const unlabelled = await decryptRaw(state, secret, stored, { hash: "SHA-256", label: NO_LABEL });
      const holds = equalBytesVartime(again, plaintext) && (forged ?? unlabelled) === undefined;
      return holds ? plaintext : NO_LABEL;
    },
  };
}
