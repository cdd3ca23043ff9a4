/** Runs the RSA conformance suite over every engine that serves it. */

import { createNodeEngine } from "../../src/engines/node/index.ts";
import { describeRsa } from "../conformance/rsa.ts";

describeRsa("node", createNodeEngine, { otherMgfHash: false });
