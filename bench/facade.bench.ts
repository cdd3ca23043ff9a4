/** What does the facade cost around the engine it runs on, per call with 32 bytes? */

import { createCipheriv, createSecretKey, randomBytes } from "node:crypto";
import { Kms } from "../src/index.ts";
import { interleave } from "./interleave.ts";

/** Most a facade call may take, as a multiple of a bare createCipheriv of the same bytes. */
const MAX_RATIO = 2.5;

export async function run(): Promise<boolean> {
  const kms = await Kms.open({ engine: "node" });
  const { keyId } = await kms.createKey();
  const plaintext = new Uint8Array(32);
  const encryptionContext = { purpose: "bench", tenant: "alpha" };
  const { ciphertextBlob } = await kms.advanceEncrypt({ keyId, plaintext, encryptionContext });
  const key = createSecretKey(randomBytes(32));
  const iv = randomBytes(12);
  const aad = randomBytes(80);
  const batch = Array.from({ length: 64 }, () => ({ keyId, plaintext, encryptionContext }));

  const medians = await interleave([
    {
      name: "bare createCipheriv",
      run: () => {
        const cipher = createCipheriv("aes-256-gcm", key, iv).setAAD(aad);
        return [cipher.update(plaintext), cipher.final(), cipher.getAuthTag()];
      },
    },
    { name: "advanceEncrypt", run: () => kms.advanceEncrypt({ keyId, plaintext, encryptionContext }) },
    {
      name: "advanceEncryptSync",
      run: () => kms.advanceEncryptSync({ keyId, plaintext, encryptionContext }),
    },
    { name: "advanceDecrypt", run: () => kms.advanceDecrypt({ ciphertextBlob, encryptionContext }) },
    { name: "advanceGenerateDataKey", run: () => kms.advanceGenerateDataKey({ keyId, encryptionContext }) },
    { name: "advanceEncryptBatch, 64 items", run: () => kms.advanceEncryptBatch(batch) },
  ]);
  await kms.close();

  const bare = medians.get("bare createCipheriv") ?? Number.NaN;
  let met = true;
  for (const [name, nanoseconds] of medians) {
    const perItem = name.endsWith("64 items") ? nanoseconds / 64 : nanoseconds;
    const ratio = perItem / bare;
    const ok = ratio <= MAX_RATIO;
    met &&= ok;
    console.log(
      `${name.padEnd(32)}${perItem.toFixed(0).padStart(8)} ns   ${ratio.toFixed(2)} of bare   ${ok ? "ok" : "MISSED"}`,
    );
  }
  return met;
}
