/** PEM as bytes, against node:crypto's own reading of it. */

import { generateKeyPairSync } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { encodePem } from "../../src/envelope/pem.ts";

/** Wraps base64 as RFC 7468 has it. */
function expected(label: string, der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString("base64")
      .match(/.{1,64}/g) ?? [];
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ""].join("\n");
}

describe("PEM", () => {
  test("is base64 in lines of 64 characters for every length", () => {
    for (let length = 0; length <= 200; length++) {
      const der = Uint8Array.from({ length }, (_, i) => (i * 73 + length) & 0xff);
      expect(new TextDecoder().decode(encodePem("PRIVATE KEY", der))).toBe(expected("PRIVATE KEY", der));
    }
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (der) => {
        expect(new TextDecoder().decode(encodePem("PUBLIC KEY", der))).toBe(expected("PUBLIC KEY", der));
      }),
    );
  });

  test("equals what node:crypto writes, in a buffer of its own", () => {
    const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const pem = encodePem("PRIVATE KEY", privateKey.export({ format: "der", type: "pkcs8" }));
    expect(new TextDecoder().decode(pem)).toBe(privateKey.export({ format: "pem", type: "pkcs8" }));
    expect(pem.buffer.byteLength).toBe(pem.length);
    const publicPem = encodePem("PUBLIC KEY", publicKey.export({ format: "der", type: "spki" }));
    expect(new TextDecoder().decode(publicPem)).toBe(publicKey.export({ format: "pem", type: "spki" }));
  });
});
