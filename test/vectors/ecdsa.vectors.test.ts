/** Wycheproof's ECDSA verification vectors, in DER and in P1363. */

import type { CurveName } from "../../src/engines/engine.ts";
import { served } from "../conformance/engine-support.ts";
import { countTests, describeWycheproof, type Group, hashField, hexField, judge } from "./wycheproof.ts";

const CURVES: Readonly<Record<string, CurveName>> = { secp256r1: "P-256", secp256k1: "secp256k1" };

function curveOf(group: Group): CurveName | undefined {
  return CURVES[(group["publicKey"] as { curve: string }).curve];
}

describeWycheproof({
  family: "ECDSA",
  primitive: "ecdsa",
  files: /^ecdsa_secp256[rk]1_sha(1|256|384|512)(_p1363)?_test\.json$/,
  group(engine, group) {
    const ecdsa = served(engine, "ecdsa");
    const hash = hashField(group, "sha");
    const curve = curveOf(group);
    if (hash === undefined || curve === undefined) return "unserved";
    const key = ecdsa.importPublicKey(curve, hexField(group, "publicKeyDer"));
    const format = group["type"] === "EcdsaP1363Verify" ? "p1363" : "der";
    return (vector) => {
      const signable = { message: hexField(vector, "msg"), hash };
      return judge(vector, ecdsa.verify(key, signable, hexField(vector, "sig"), { format }));
    };
  },
  unserved: (_engine, _file, groups) => countTests(groups, (group) => hashField(group, "sha") === undefined),
});
