/** Uses a key it reads from a file, says when it is live and when it is destroyed, and waits after each word. */

import { openSync, readSync } from "node:fs";
import { createWasmEngine } from "../../../src/engines/wasm/inlined.ts";
import type { WasmBuild } from "../../../src/engines/wasm/module.ts";

const [keyFile = "", build = "base"] = process.argv.slice(2);
const key = new Uint8Array(new ArrayBuffer(32));
readSync(openSync(keyFile, "r"), key, 0, 32, 0);

const { aesGcm } = createWasmEngine({ build: build as WasmBuild, relaxedSimd: "force" });
if (aesGcm === undefined) throw new Error("the engine has no AES-GCM");
const handle = aesGcm.importKey(key);
key.fill(0);
const iv = new Uint8Array(12);
for (let i = 0; i < 3000; i++) {
  const plaintext = new Uint8Array(i % 300 === 0 ? 70_000 : i % 400);
  aesGcm.open(
    handle,
    iv,
    aesGcm.seal(handle, iv, plaintext, plaintext.subarray(0, 99)),
    plaintext.subarray(0, 99),
  );
}

async function say(word: string): Promise<void> {
  process.stdout.write(`${word}\n`);
  await new Promise((resolve) => process.stdin.once("data", resolve));
}

await say("live");
handle.destroy();
await say("destroyed");
process.exit(0);
