/** Loads the main module: AES-GCM, hashes, HMAC and AES key wrap. */

import { equalBytesVartime } from "../../bytes.ts";
import { aesGcmKnownAnswers } from "../aes-gcm-vectors.ts";
import { bindKernel, type Kernel } from "./kernel.ts";
import { ModuleLoader } from "./module.ts";
import { probeSwizzle } from "./probe.ts";

export const mainLoader: ModuleLoader<Kernel> = new ModuleLoader({
  bind: bindKernel,
  isSupported: probeSwizzle,
  answersRightly,
});

/** Seals and opens the known answers in the kernel itself; leaves nothing behind. Keys and messages are public. */
function answersRightly(kernel: Kernel): boolean {
  let right = true;
  for (const { key, iv, aad, plaintext, sealed } of aesGcmKnownAnswers()) {
    const { memory, dataStart } = kernel;
    kernel.key.set(key);
    kernel.aesGcmLoadKey(0, key.length);
    kernel.iv.set(iv);
    memory.set(aad, dataStart - ((aad.length + 15) & ~15));
    memory.set(plaintext, dataStart);
    right = kernel.aesGcmSeal(0, key.length, aad.length, plaintext.length, 0, 0) === 1 && right;
    right = equalBytesVartime(memory.subarray(dataStart, dataStart + sealed.length), sealed) && right;
    memory.set(aad, dataStart - ((aad.length + 15) & ~15));
    right = kernel.aesGcmOpen(0, key.length, aad.length, sealed.length, 0) === 1 && right;
    right = equalBytesVartime(memory.subarray(dataStart, dataStart + plaintext.length), plaintext) && right;
    memory.fill(0, dataStart, dataStart + sealed.length);
    kernel.aesGcmDropKey(0);
  }
  return right;
}
