/** Loads the module of elliptic curves, which is compiled when an engine first needs it. */

import { equalBytesVartime } from "../../bytes.ts";
import { ECDH_ANSWERS, fromHex } from "../self-test-vectors.ts";
import { bindEcKernel, type EcKernel } from "./ec-kernel.ts";
import { EcOperations } from "./ec-operations.ts";
import { ModuleLoader } from "./module.ts";
import { probeFusedMultiplyAdd, probeSwizzle } from "./probe.ts";

export const ecLoader: ModuleLoader<EcKernel> = new ModuleLoader({
  bind: bindEcKernel,
  isSupported: (build) => (build === "relaxed" ? probeFusedMultiplyAdd() : probeSwizzle(build)),
  answersRightly,
});

/**
 * Computes known shared secrets, which needs no large table: arithmetic that rounds twice where it must round once gives
 * others. Without relaxed SIMD one curve has all the vector code there is in it, and the time of the other's counts.
 */
function answersRightly(kernel: EcKernel): boolean {
  const operations = new EcOperations(() => kernel);
  const isRight = (curve: "P-256" | "secp256k1"): boolean => {
    const { scalar, peer, shared } = ECDH_ANSWERS[curve];
    const point = operations.decodePoint(curve, fromHex(peer));
    if (point === undefined) return false;
    return equalBytesVartime(operations.derive(curve, fromHex(scalar), point), fromHex(shared));
  };
  const right = isRight("secp256k1") && (kernel.build !== "relaxed" || isRight("P-256"));
  operations.close();
  return right;
}
