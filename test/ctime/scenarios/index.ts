/** Every scenario of the constant-time tools by the module it runs on. A kernel joins the gate by adding its own here. */

import type { WasmModule } from "../../../.config/build-wasm.mjs";
import type { Scenario } from "../scenario.ts";
import { AES_GCM_SCENARIOS } from "./aes-gcm.ts";
import { AES_KW_SCENARIOS } from "./aes-kw.ts";
import { ECC_SCENARIOS } from "./ecc.ts";
import { HASH_SCENARIOS } from "./hash.ts";
import { RSA_SCENARIOS } from "./rsa.ts";
import { RSA_KEYGEN_SCENARIOS } from "./rsa-keygen.ts";
import { RSA_PADDING_SCENARIOS } from "./rsa-padding.ts";

export const SCENARIOS: Readonly<Record<WasmModule, readonly Scenario[]>> = {
  main: [...AES_GCM_SCENARIOS, ...AES_KW_SCENARIOS, ...HASH_SCENARIOS],
  ecc: ECC_SCENARIOS,
  rsa: [...RSA_SCENARIOS, ...RSA_PADDING_SCENARIOS, ...RSA_KEYGEN_SCENARIOS],
};
