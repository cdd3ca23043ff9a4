// Envelope encryption: the KMS wraps a data key, the data key encrypts the payload, only the wrapped key is stored.
import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { Kms } from "keyplane";

const kms = await Kms.open();
const { keyId } = await kms.createKey();
const encryptionContext = { table: "patients", row: "42" };

const dataKey = await kms.advanceGenerateDataKey({ keyId, encryptionContext });
const iv = randomBytes(12);
const cipher = createCipheriv("aes-256-gcm", dataKey.plaintext, iv);
const record = {
  wrappedKey: dataKey.ciphertextBlob,
  iv,
  ciphertext: Buffer.concat([cipher.update("blood type: 0-"), cipher.final()]),
  tag: cipher.getAuthTag(),
};
dataKey.plaintext.fill(0);

// Later, perhaps after many rotations of the key:
await kms.rotateKey({ keyId });
const { plaintext } = await kms.advanceDecrypt({ ciphertextBlob: record.wrappedKey, encryptionContext });
const decipher = createDecipheriv("aes-256-gcm", plaintext, record.iv).setAuthTag(record.tag);
const text = Buffer.concat([decipher.update(record.ciphertext), decipher.final()]).toString();
plaintext.fill(0);

// Move the wrapped key to the newest version without ever seeing it:
const moved = await kms.reEncrypt({
  ciphertextBlob: record.wrappedKey,
  sourceEncryptionContext: encryptionContext,
});
console.log(`${text}; re-wrapped: ${moved.changed}`);
await kms.close();
