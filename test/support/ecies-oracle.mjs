/**
 * ECIES_DH_SHA_1_XOR_HMAC written a second time, with node:crypto alone and nothing of Keyplane. Imported, it gives two
 * functions; as a process, it reads jobs as JSON from standard input and answers them as JSON, so that keys and
 * ciphertext meet an implementation that shares no memory and no code with the one under test.
 */

import {
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  timingSafeEqual,
} from "node:crypto";
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const POINT = 65;
const TAG = 20;

/** X9.63 with SHA-1. */
function derive(z, length) {
  const blocks = [];
  for (let i = 1; blocks.length * 20 < length; i++) {
    const counter = Buffer.alloc(4);
    counter.writeUInt32BE(i);
    blocks.push(createHash("sha1").update(z).update(counter).digest());
  }
  return Buffer.concat(blocks).subarray(0, length);
}

function xor(a, b) {
  return Buffer.from(a.map((byte, i) => byte ^ b[i]));
}

/** The DER of an SPKI but for its last 65 bytes, the point. */
function spkiPrefix(publicKey) {
  return publicKey.export({ format: "der", type: "spki" }).subarray(0, -POINT);
}

/** Encrypts to a KeyObject; `ephemeral` is a pair of KeyObjects on its curve, fresh if absent. */
export function oracleEncrypt(publicKey, plaintext, ephemeral) {
  const { namedCurve } = publicKey.asymmetricKeyDetails;
  const pair = ephemeral ?? generateKeyPairSync("ec", { namedCurve });
  const point = pair.publicKey.export({ format: "der", type: "spki" }).subarray(-POINT);
  const keys = derive(diffieHellman({ privateKey: pair.privateKey, publicKey }), plaintext.length + TAG);
  const encrypted = xor(Buffer.from(plaintext), keys);
  const tag = createHmac("sha1", keys.subarray(plaintext.length)).update(encrypted).digest();
  return new Uint8Array(Buffer.concat([point, encrypted, tag]));
}

/** Decrypts with a KeyObject; null for what cannot be opened. */
export function oracleDecrypt(privateKey, ciphertext) {
  const bytes = Buffer.from(ciphertext);
  const point = bytes.subarray(0, POINT);
  const encrypted = bytes.subarray(POINT, -TAG);
  const spki = Buffer.concat([spkiPrefix(createPublicKey(privateKey)), point]);
  const sender = createPublicKey({ key: spki, format: "der", type: "spki" });
  const keys = derive(diffieHellman({ privateKey, publicKey: sender }), encrypted.length + TAG);
  const tag = createHmac("sha1", keys.subarray(encrypted.length)).update(encrypted).digest();
  if (!timingSafeEqual(tag, bytes.subarray(-TAG))) return null;
  return new Uint8Array(xor(encrypted, keys));
}

/** A job is { publicKey: PEM, plaintext: base64 } or { privateKey: PEM, ciphertext: base64 }. */
function answer(job) {
  const result =
    job.publicKey === undefined
      ? oracleDecrypt(createPrivateKey(job.privateKey), Buffer.from(job.ciphertext, "base64"))
      : oracleEncrypt(createPublicKey(job.publicKey), Buffer.from(job.plaintext, "base64"));
  return result === null ? null : Buffer.from(result).toString("base64");
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  process.stdout.write(JSON.stringify(JSON.parse(readFileSync(0, "utf8")).map(answer)));
}
