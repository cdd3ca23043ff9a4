/** Wycheproof's HMAC vectors, truncated tags among them. */

import { HASHES, served } from "../conformance/engine-support.ts";
import { describeWycheproof, hexField, judge, same } from "./wycheproof.ts";

describeWycheproof({
  family: "HMAC",
  primitive: "hmac",
  files: /^hmac_sha(1|256|384|512)_test\.json$/,
  group(engine, group, algorithm) {
    const hmac = served(engine, "hmac");
    const hash = HASHES.find((name) => `HMAC${name.replace("-", "")}` === algorithm);
    if (hash === undefined) return "unserved";
    const tagLength = Number(group["tagSize"]) / 8;
    return (vector) => {
      const mac = hmac.sign(hash, hexField(vector, "key"), hexField(vector, "msg"));
      return judge(vector, same(mac.subarray(0, tagLength), hexField(vector, "tag")));
    };
  },
});
