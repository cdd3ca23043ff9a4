// Cloudflare Workers, Deno and Bun: opens envelopes whose data keys a remote KMS wrapped, and verifies signatures here.
// POST /open    body: encrypted data key length (2 bytes, big-endian), encrypted data key, iv (12 bytes), ciphertext and tag
// POST /verify  body: signature length (1 byte), P1363 signature, message; the public key comes from the environment
import { loadEngine } from "keyplane/engine";

let engine;

export default {
  async fetch(request, { unwrapDataKey, publicKey }) {
    const { pathname } = new URL(request.url);
    const body = new Uint8Array(await request.arrayBuffer());
    engine ??= await loadEngine("wasm");
    if (pathname === "/open") {
      const end = 2 + ((body[0] << 8) | body[1]);
      if (end === 2 || body.length < end + 12 + 16) return new Response(null, { status: 400 });
      const dataKey = await unwrapDataKey(body.subarray(2, end)); // the one call that leaves this process
      let key;
      try {
        key = engine.aesGcm.importKey(dataKey);
        const plaintext = engine.aesGcm.open(key, body.subarray(end, end + 12), body.subarray(end + 12));
        return plaintext === undefined ? new Response(null, { status: 400 }) : new Response(plaintext);
      } finally {
        dataKey.fill(0);
        key?.destroy();
      }
    }
    if (pathname === "/verify") {
      const end = 1 + body[0];
      const key = engine.ecdsa.importPublicKey("P-256", publicKey);
      const signable = { message: body.subarray(end), hash: "SHA-256" };
      const valid = engine.ecdsa.verify(key, signable, body.subarray(1, end), { format: "p1363" });
      return new Response(String(valid), { status: valid ? 200 : 403 });
    }
    return new Response(null, { status: 404 });
  },
};
