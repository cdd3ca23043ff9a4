/** Runs the ECDSA conformance suite over every engine that serves it. */

import { createNodeEngine } from "../../src/engines/node/index.ts";
import { describeEcdsa } from "../conformance/ecdsa.ts";

describeEcdsa("node", createNodeEngine, { digests: false, recoverable: false });
