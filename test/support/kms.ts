/** What tests of a whole `Kms` share: opening one, keys of each kind, and reading refusals. */

import { afterAll, expect, vi } from "vitest";
import { type CreateKeyRequest, Kms, KmsError, type KmsOptions } from "../../src/index.ts";

// RSA keys take seconds to find on a busy machine.
vi.setConfig({ testTimeout: 30_000, hookTimeout: 60_000 });

/** Opens a `Kms` (in memory unless told otherwise) that is closed when the file's tests are done. */
export async function openKms(options: KmsOptions = {}): Promise<Kms> {
  const kms = await Kms.open(options);
  opened.push(kms);
  return kms;
}

const opened: Kms[] = [];
afterAll(async () => {
  await Promise.all(opened.splice(0).map((kms) => kms.close()));
});

/** Creates a key and gives its id. */
export async function newKey(kms: Kms, request: CreateKeyRequest = {}): Promise<string> {
  return (await kms.createKey(request)).keyId;
}

/** Runs a call, now or later, and gives the KmsError it ends in. Anything else is a failure of the test. */
export async function refusalOf(call: () => unknown): Promise<KmsError> {
  let answer: unknown;
  try {
    answer = await call();
  } catch (error) {
    if (error instanceof KmsError) return error;
    throw error;
  }
  throw new Error(`the call was not refused but answered ${Object.keys(answer as object).join(", ")}`);
}

/** Gives the code a call is refused with, or "none". */
export async function codeOfCall(call: () => unknown): Promise<string> {
  try {
    await call();
  } catch (error) {
    if (error instanceof KmsError) return error.code;
    throw error;
  }
  return "none";
}

/** Fails unless a call is refused with this code. */
export async function expectRefusal(call: () => unknown, code: string): Promise<KmsError> {
  const refusal = await refusalOf(call);
  expect(refusal.code, refusal.message).toBe(code);
  return refusal;
}

/** Reads hexadecimal, spaces allowed. */
export function hex(text: string): Uint8Array {
  return Uint8Array.from(text.replace(/\s/g, "").match(/../g) ?? [], (digits) => Number.parseInt(digits, 16));
}

/** Writes hexadecimal. */
export function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Encodes text. */
export function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** Makes `length` bytes that differ from their neighbours. */
export function patterned(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * 31 + (i >> 8) + 7) & 0xff);
}
