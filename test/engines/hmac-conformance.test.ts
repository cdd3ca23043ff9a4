/** Runs the HMAC conformance suite over every engine that serves it. */

import { createNodeEngine } from "../../src/engines/node/index.ts";
import { describeHmac } from "../conformance/hmac.ts";

describeHmac("node", createNodeEngine);
