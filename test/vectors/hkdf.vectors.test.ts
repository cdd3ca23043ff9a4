/** Wycheproof's HKDF vectors; lengths beyond the limit must be InvalidParameter. */

import { codeOf, HASHES, served } from "../conformance/engine-support.ts";
import { describeWycheproof, hexField, judge, same } from "./wycheproof.ts";

describeWycheproof({
  family: "HKDF",
  primitive: "hkdf",
  files: /^hkdf_sha(1|256|384|512)_test\.json$/,
  group(engine, _group, algorithm) {
    const hkdf = served(engine, "hkdf");
    const hash = HASHES.find((name) => `HKDF-${name}` === algorithm);
    if (hash === undefined) return "unserved";
    return (vector) => {
      const [ikm, salt, info] = ["ikm", "salt", "info"].map((field) => hexField(vector, field)) as [
        Uint8Array,
        Uint8Array,
        Uint8Array,
      ];
      const derive = (): Uint8Array => hkdf(hash, ikm, salt, info, Number(vector["size"]));
      if (codeOf(derive) === "InvalidParameter") return judge(vector, false);
      return judge(vector, same(derive(), hexField(vector, "okm")));
    };
  },
});
