/** Runs the HMAC conformance suite over every engine that serves it. */

import { createNodeEngine } from "../../src/engines/node/index.ts";
import { createWasmEngine } from "../../src/engines/wasm/index.ts";
import { describeHmac } from "../conformance/hmac.ts";

describeHmac("wasm", createWasmEngine);
describeHmac("node", createNodeEngine);
