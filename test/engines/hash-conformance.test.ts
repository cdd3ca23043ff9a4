/** Runs the hash conformance suite over every engine that serves it. */

import { createNodeEngine } from "../../src/engines/node/index.ts";
import { createWasmEngine } from "../../src/engines/wasm/index.ts";
import { describeHash } from "../conformance/hash.ts";

describeHash("wasm", createWasmEngine);
describeHash("node", createNodeEngine);
