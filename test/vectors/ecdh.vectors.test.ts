/** Wycheproof's ECDH vectors, with the peer's key as SPKI or as point. */

import type { CurveName, Ecdsa, EcPublicKey } from "../../src/engines/engine.ts";
import { KmsError } from "../../src/errors.ts";
import { served } from "../conformance/engine-support.ts";
import { describeWycheproof, hexField, judge, same } from "./wycheproof.ts";

const CURVES: Readonly<Record<string, CurveName>> = { secp256r1: "P-256", secp256k1: "secp256k1" };

/** Brings a scalar, which Wycheproof writes as a signed or shortened number, to 32 bytes. */
function scalar32(number: Uint8Array): Uint8Array {
  const scalar = new Uint8Array(32);
  const magnitude = number.subarray(Math.max(0, number.length - 32));
  scalar.set(magnitude, 32 - magnitude.length);
  return scalar;
}

/** Imports a key, or gives undefined where that is InvalidKeyMaterial. */
function importPeer(ecdsa: Ecdsa, curve: CurveName, key: Uint8Array): EcPublicKey | undefined {
  try {
    return ecdsa.importPublicKey(curve, key);
  } catch (error) {
    if (error instanceof KmsError && error.code === "InvalidKeyMaterial") return undefined;
    throw error;
  }
}

describeWycheproof({
  family: "ECDH",
  primitive: "ecdh",
  files: /^ecdh_secp256[rk]1(_ecpoint)?_test\.json$/,
  group(engine, group) {
    const ecdsa = served(engine, "ecdsa");
    const ecdh = served(engine, "ecdh");
    const curve = CURVES[String(group["curve"])];
    if (curve === undefined) return "unserved";
    return (vector) => {
      const peer = importPeer(ecdsa, curve, hexField(vector, "public"));
      if (peer === undefined) return judge(vector, false);
      // A shared secret that is not the stated one is wrong whatever the vector allows.
      const ours = ecdsa.importPrivateKey(curve, scalar32(hexField(vector, "private")));
      if (!same(ecdh.deriveBits(ours, peer), hexField(vector, "shared"))) return "wrong";
      return judge(vector, true);
    };
  },
});
