/** Uses a key it reads from a file, says when it is live and when it is destroyed, and waits after each word. */

import { fstatSync, openSync, readSync } from "node:fs";
import type { CurveName } from "../../../src/engines/engine.ts";
import { createWasmEngine } from "../../../src/engines/wasm/inlined.ts";
import type { WasmBuild } from "../../../src/engines/wasm/module.ts";

const [keyFile = "", build = "base", kind = "aes"] = process.argv.slice(2);
const file = openSync(keyFile, "r");
const key = new Uint8Array(new ArrayBuffer(fstatSync(file).size));
readSync(file, key, 0, key.length, 0);

const engine = createWasmEngine({ build: build as WasmBuild, relaxedSimd: "force" });
const handle = use();

function use(): { destroy(): void } {
  if (kind === "aes") return useAesKey();
  return kind === "rsa" ? useRsaKey() : useEcKey(kind as CurveName);
}

function useAesKey(): { destroy(): void } {
  const { aesGcm } = engine;
  if (aesGcm === undefined) throw new Error("the engine has no AES-GCM");
  const used = aesGcm.importKey(key);
  key.fill(0);
  const iv = new Uint8Array(12);
  for (let i = 0; i < 3000; i++) {
    const plaintext = new Uint8Array(i % 300 === 0 ? 70_000 : i % 400);
    aesGcm.open(
      used,
      iv,
      aesGcm.seal(used, iv, plaintext, plaintext.subarray(0, 99)),
      plaintext.subarray(0, 99),
    );
  }
  return used;
}

/** Signs alone and in batches, exchanges keys, and exports the key, which it wipes as callers should. */
function useEcKey(curve: CurveName): { destroy(): void } {
  const { ecdsa, ecdh } = engine;
  if (ecdsa === undefined || ecdh === undefined) throw new Error("the engine has no EC keys");
  const used = ecdsa.importPrivateKey(curve, key);
  key.fill(0);
  const publicKey = ecdsa.publicKey(used);
  for (let i = 0; i < 1000; i++) {
    const digest = new Uint8Array(32).fill(i);
    ecdsa.sign(used, digest, { hedged: i % 2 === 0 });
    if (i % 50 === 0) ecdsa.signBatch(Array.from({ length: 40 }, () => ({ key: used, signable: digest })));
    if (i % 10 === 0) ecdh.deriveBits(used, publicKey).fill(0);
  }
  ecdsa.exportPkcs8(used).fill(0);
  return used;
}

/** Signs often enough for a new blinding, decrypts, and exports the key, which it wipes as callers should. */
function useRsaKey(): { destroy(): void } {
  const { rsa } = engine;
  if (rsa === undefined) throw new Error("the engine has no RSA");
  const used = rsa.importPrivateKey(key);
  key.fill(0);
  const hash = "SHA-256";
  const digest = new Uint8Array(32);
  const ciphertext = rsa.encryptOaep(rsa.publicKey(used), digest, { hash });
  for (let i = 0; i < 40; i++) {
    rsa.signPss(used, digest, { hash });
    rsa.signPkcs1(used, digest, { hash });
    rsa.decryptOaep(used, ciphertext, { hash });
  }
  rsa.exportPkcs8(used).fill(0);
  return used;
}

async function say(word: string): Promise<void> {
  process.stdout.write(`${word}\n`);
  await new Promise((resolve) => process.stdin.once("data", resolve));
}

await say("live");
handle.destroy();
await say("destroyed");
process.exit(0);
