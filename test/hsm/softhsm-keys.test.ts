/** Hardware keys in SoftHSM2. */

import { describe } from "vitest";
import { describeHardwareKeys } from "../conformance/hardware-keys.ts";
import { missing } from "./open.ts";

const reason = missing("softhsm");

describe.skipIf(reason !== undefined)(`SoftHSM2${reason === undefined ? "" : `: ${reason}`}`, () => {
  describeHardwareKeys(
    "softhsm",
    // F22: it lists OAEP and does it with SHA-1 alone.
    new Set(["RSA_2048", "RSA_3072", "RSA_4096"].map((spec) => `${spec} RSAES_OAEP_SHA_256`)),
  );
});
