/** Guest in workerd and edge-runtime: one POST request, one report. */

import { library } from "./library.ts";
import type { SuiteRequest } from "./protocol.ts";
import { runSuite } from "./suite.ts";

const handler: { fetch(request: Request): Promise<Response> } = {
  async fetch(request) {
    try {
      return Response.json(await runSuite(library, (await request.json()) as SuiteRequest));
    } catch (error) {
      return new Response(error instanceof Error ? error.stack : String(error), { status: 500 });
    }
  },
};

// workerd looks for the default export, the host of edge-runtime for the global.
export default handler;
Object.assign(globalThis, { keyplaneHandler: handler });
