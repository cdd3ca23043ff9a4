/** ECDH of the wasm engine on the key handles of its ECDSA (SP 800-56A, 5.7.1.2). */

import { concatBytes } from "../../bytes.ts";
import { ensure } from "../../errors.ts";
import type { CurveName, Ecdh } from "../engine.ts";
import type { SelfTest } from "../self-test.ts";
import { ECDH_ANSWERS, fromHex } from "../self-test-vectors.ts";
import type { EcKeys } from "./ec-keys.ts";
import type { EcOperations } from "./ec-operations.ts";
import type { WasmState } from "./state.ts";

const CURVES: readonly CurveName[] = ["P-256", "secp256k1"];

/** Makes ECDH of one engine. Keys are checked when they are imported, so no foreign or infinite point gets here. */
export function wasmEcdh(state: WasmState, keys: EcKeys, operations: EcOperations): Ecdh {
  const selfTest: SelfTest = {
    name: "ecdh",
    get expected() {
      return concatBytes(...CURVES.map((curve) => fromHex(ECDH_ANSWERS[curve].shared)));
    },
    compute: () =>
      concatBytes(
        ...CURVES.map((curve) => {
          const { scalar, peer } = ECDH_ANSWERS[curve];
          const { point } = keys.readPublic(curve, fromHex(peer));
          return operations.derive(curve, fromHex(scalar), point);
        }),
      ),
  };
  return {
    deriveBits(privateKey, publicKey) {
      state.require();
      operations.prepare();
      state.require(selfTest);
      const secret = keys.privateKey(privateKey);
      const peer = keys.publicKey(publicKey);
      ensure(secret.curve === peer.curve, "InvalidParameter", "Both keys must be on the same curve.");
      return operations.derive(secret.curve, secret.scalar, peer.point);
    },
  };
}
