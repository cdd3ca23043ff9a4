/** Hardware keys in NSS softokn. */

import { describe } from "vitest";
import { describeHardwareKeys } from "../conformance/hardware-keys.ts";
import { missing } from "./open.ts";

const reason = missing("nss");

describe.skipIf(reason !== undefined)(`NSS${reason === undefined ? "" : `: ${reason}`}`, () => {
  describeHardwareKeys("nss", new Set(["EC_P256K"]));
});
