/** Up to which payload size, and with which EC and RSA keys, is the wasm engine quicker than node:crypto? The answers belong in src/engines/routes.ts. */

import { randomBytes } from "node:crypto";
import { loadEngine } from "../src/engine.ts";
import { autoRoutes } from "../src/engines/routes.ts";
import { benchEcRoutes } from "./ec-routes.ts";
import { interleave } from "./interleave.ts";
import { benchRsaRoutes } from "./rsa-routes.ts";

const SIZES: readonly number[] = [16, 32, 64, 128, 256, 512, 1024, 4096, 16_384];

export async function run(): Promise<boolean> {
  const engines = [await loadEngine("wasm"), await loadEngine("node")];
  const keyBytes = randomBytes(32);
  const iv = randomBytes(12);
  const aad = randomBytes(80);
  let quickerUpTo = 0;
  console.log(`${"bytes".padStart(8)}${"wasm ns".padStart(12)}${"node ns".padStart(12)}   node / wasm`);
  for (const size of SIZES) {
    const plaintext = randomBytes(size);
    const medians = await interleave(
      engines.map(({ name, aesGcm }) => {
        if (aesGcm === undefined) throw new Error(`the ${name} engine has no AES-GCM`);
        const key = aesGcm.importKey(keyBytes);
        return { name, run: () => aesGcm.seal(key, iv, plaintext, aad) };
      }),
    );
    const [wasm = 0, node = 0] = [medians.get("wasm"), medians.get("node")];
    if (node > wasm) quickerUpTo = size;
    console.log(
      `${String(size).padStart(8)}${wasm.toFixed(0).padStart(12)}${node.toFixed(0).padStart(12)}   ${(node / wasm).toFixed(2)}`,
    );
  }
  const routed = autoRoutes("aesGcm")[0];
  console.log(
    `wasm is quicker up to ${quickerUpTo} bytes; the routes send ${routed?.maxBytes ?? 0} bytes and less to ${routed?.engine}`,
  );
  const right = await benchEcRoutes(engines);
  for (const engine of engines) engine.close();
  return (await benchRsaRoutes()) && right;
}
