// For Workers, Deno and Bun. POST /open: length (2 bytes) and data key as a remote KMS wrapped it, iv (12), ciphertext, tag.
import { loadEngine } from "keyplane/engine";

let engine;
export default {
  async fetch(request, { unwrapDataKey, publicKey }) {
    const { pathname } = new URL(request.url);
    const body = new Uint8Array(await request.arrayBuffer());
    engine ??= await loadEngine("wasm");
    if (pathname === "/verify") {
      const [key, end] = [engine.ecdsa.importPublicKey("P-256", publicKey), 1 + body[0]];
      const signable = { message: body.subarray(end), hash: "SHA-256" }; // after length (1) and P1363 signature
      const valid = engine.ecdsa.verify(key, signable, body.subarray(1, end), { format: "p1363" });
      return new Response(String(valid), { status: valid ? 200 : 403 });
    }
    if (pathname !== "/open") return new Response(null, { status: 404 });
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
  },
};
