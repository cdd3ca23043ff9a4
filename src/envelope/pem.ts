/** PEM (RFC 7468) as ASCII bytes, so that private keys never become strings. */

import { concatBytes } from "../bytes.ts";

const ALPHABET: Uint8Array = new TextEncoder().encode(
  "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
);
const PAD = 0x3d;
const NEWLINE = 0x0a;
const LINE_LENGTH = 64;

/**
 * Encodes DER as PEM with lines of 64 characters.
 *
 * The look-ups depend on the data; base64 of a private key is done where its owner is about to hold it in clear anyway.
 */
export function encodePem(label: "PRIVATE KEY" | "PUBLIC KEY", der: Uint8Array): Uint8Array {
  const encoder = new TextEncoder();
  const characters = Math.ceil(der.length / 3) * 4;
  const body = new Uint8Array(characters + Math.ceil(characters / LINE_LENGTH));
  let out = 0;
  let column = 0;
  const put = (character: number | undefined): void => {
    body[out++] = character ?? PAD;
    column += 1;
    if (column === LINE_LENGTH) {
      body[out++] = NEWLINE;
      column = 0;
    }
  };
  for (let i = 0; i < der.length; i += 3) {
    const bits = ((der[i] ?? 0) << 16) | ((der[i + 1] ?? 0) << 8) | (der[i + 2] ?? 0);
    put(ALPHABET[bits >>> 18]);
    put(ALPHABET[(bits >>> 12) & 63]);
    put(i + 1 < der.length ? ALPHABET[(bits >>> 6) & 63] : PAD);
    put(i + 2 < der.length ? ALPHABET[bits & 63] : PAD);
  }
  if (column > 0) body[out++] = NEWLINE;
  const pem = concatBytes(
    encoder.encode(`-----BEGIN ${label}-----\n`),
    body.subarray(0, out),
    encoder.encode(`-----END ${label}-----\n`),
  );
  body.fill(0);
  return pem;
}
