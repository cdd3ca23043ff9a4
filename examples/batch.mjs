// Batches: mixed keys in one call, results in order, one bad item does not spoil the others.
import { Kms } from "keyplane";

const kms = await Kms.open();
const [first, second] = [await kms.createKey(), await kms.createKey({ keySpec: "Aliyun_AES_128" })];
const plaintext = new TextEncoder().encode("ten thousand of these at a time");

const results = await kms.advanceEncryptBatch([
  { keyId: first.keyId, plaintext },
  { keyId: "key-that-is-not-here", plaintext },
  { keyId: second.keyId, plaintext, encryptionContext: { n: "3" } },
]);
console.log(results.map((item) => (item.ok ? "ok" : item.error.code)).join(", "));
await kms.close();
