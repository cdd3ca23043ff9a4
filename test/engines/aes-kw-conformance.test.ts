/** Runs the AES key wrap conformance suite over every engine that serves it. */

import { createNodeEngine } from "../../src/engines/node/index.ts";
import { createWasmEngine } from "../../src/engines/wasm/index.ts";
import { describeAesKeyWrap } from "../conformance/aes-kw.ts";

describeAesKeyWrap("wasm", createWasmEngine);
describeAesKeyWrap("node", createNodeEngine);
