/** Runs the AES key wrap conformance suite over every engine that serves it. */

import { createNodeEngine } from "../../src/engines/node/index.ts";
import { describeAesKeyWrap } from "../conformance/aes-kw.ts";

describeAesKeyWrap("node", createNodeEngine);
