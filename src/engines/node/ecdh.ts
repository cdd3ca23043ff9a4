/** ECDH over node:crypto on the key handles of ECDSA (SP 800-56A, 5.7.1.2). */

import { diffieHellman } from "node:crypto";
import { concatBytes } from "../../bytes.ts";
import { ensure } from "../../errors.ts";
import type { CurveName, Ecdh } from "../engine.ts";
import type { SelfTest } from "../self-test.ts";
import { ECDH_ANSWERS, fromHex } from "../self-test-vectors.ts";
import { ownBytes } from "./arguments.ts";
import { type EcKeys, type EcSecret, readEcPrivate, readEcPublic, servesCurve } from "./ec-keys.ts";
import type { EngineState } from "./state.ts";

/** Both keys were checked when they were imported, so neither the point at infinity nor a foreign curve gets here. */
function deriveRaw(privateSecret: EcSecret, publicSecret: EcSecret): Uint8Array {
  return ownBytes(diffieHellman({ privateKey: privateSecret.key, publicKey: publicSecret.key }));
}

const CURVES: readonly CurveName[] = ["P-256", "secp256k1"];

/** Derives the known secret of each curve that this runtime has. */
function makeSelfTest(): SelfTest {
  const curves = CURVES.filter(servesCurve);
  return {
    name: "ecdh",
    expected: concatBytes(...curves.map((curve) => fromHex(ECDH_ANSWERS[curve].shared))),
    compute: () =>
      concatBytes(
        ...curves.map((curve) => {
          const { scalar, peer } = ECDH_ANSWERS[curve];
          return deriveRaw(readEcPrivate(curve, fromHex(scalar)), readEcPublic(curve, fromHex(peer)));
        }),
      ),
  };
}

/** Makes ECDH of one engine. */
export function nodeEcdh(state: EngineState, keys: EcKeys): Ecdh {
  const selfTest = makeSelfTest();
  return {
    deriveBits(privateKey, publicKey) {
      state.require(selfTest);
      const privateSecret = keys.privateSecret(privateKey);
      const publicSecret = keys.publicSecret(publicKey);
      ensure(
        privateSecret.curve === publicSecret.curve,
        "InvalidParameter",
        "Both keys must be on the same curve.",
      );
      return deriveRaw(privateSecret, publicSecret);
    },
  };
}
