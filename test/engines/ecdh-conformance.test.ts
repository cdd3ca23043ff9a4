/** Runs the ECDH conformance suite over every engine that serves it. */

import { createNodeEngine } from "../../src/engines/node/index.ts";
import { describeEcdh } from "../conformance/ecdh.ts";

describeEcdh("node", createNodeEngine);
