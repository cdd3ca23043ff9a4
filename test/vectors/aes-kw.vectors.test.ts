/** Wycheproof's AES key wrap vectors, without padding (RFC 3394) and with (RFC 5649). */

import type { KeyWrap } from "../../src/engines/engine.ts";
import { codeOf, served } from "../conformance/engine-support.ts";
import { describeWycheproof, hexField, judge, same, type Vector, type Verdict } from "./wycheproof.ts";

/** Unwraps always, and wraps where the wrapped form is said to be right. */
function judgeWrap(wrap: KeyWrap, vector: Vector): Verdict {
  const [kek, key, wrapped] = ["key", "msg", "ct"].map((field) => hexField(vector, field)) as [
    Uint8Array,
    Uint8Array,
    Uint8Array,
  ];
  const opened = wrap.unwrap(kek, wrapped);
  if (opened !== undefined && !same(opened, key)) return "wrong";
  if (vector.result === "valid" && !same(wrap.wrap(kek, key), wrapped)) return "wrong";
  // 8-byte keys and the empty one: RFC 3394 wraps neither.
  if (vector.flags.includes("ShortKey") && codeOf(() => wrap.wrap(kek, key)) !== "InvalidParameter")
    return "wrong";
  return judge(vector, opened !== undefined);
}

describeWycheproof({
  family: "AES key wrap",
  primitive: "aesKw",
  files: /^aes_wrap_test\.json$/,
  group: (engine) => (vector) => judgeWrap(served(engine, "aesKw"), vector),
});

describeWycheproof({
  family: "AES key wrap with padding",
  primitive: "aesKwp",
  files: /^aes_kwp_test\.json$/,
  group: (engine) => (vector) => judgeWrap(served(engine, "aesKwp"), vector),
});
