/** Guest in a worker: serves a Kms over the rows that the page sends, for `worker.runtimes.test.ts`. */

import { Kms } from "keyplane";
import { serveKms } from "keyplane/worker";
import type { SuiteRequest } from "./protocol.ts";
import { fromHex, rowsStore } from "./support.ts";

serveKms((setup) => {
  if (setup === "never") return new Promise<never>(() => undefined);
  const { rows, rootKey } = setup as Pick<SuiteRequest, "rows" | "rootKey">;
  return Kms.open({ store: rowsStore(rows) as never, rootKey: { bytes: fromHex(rootKey) } });
});

addEventListener("message", ({ data }: MessageEvent<unknown>) => {
  if (data === "throw") throw new Error("thrown for the test");
});
