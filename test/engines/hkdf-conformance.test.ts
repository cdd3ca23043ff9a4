/** Runs the HKDF conformance suite over every engine that serves it. */

import { createNodeEngine } from "../../src/engines/node/index.ts";
import { describeHkdf } from "../conformance/hkdf.ts";

describeHkdf("node", createNodeEngine);
