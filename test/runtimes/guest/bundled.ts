/** Guest that every bundler builds into a page: one entry, no workers. */

import { library } from "./library.ts";
import { runSuite } from "./suite.ts";

Object.assign(globalThis, {
  keyplaneSuite: async (_place: string, request: string) =>
    JSON.stringify(await runSuite(library, JSON.parse(request))),
});
