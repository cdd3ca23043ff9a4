/** What the streaming format asks of a Kms beyond its calls: a key for the frames of one file. No request, no response. */

import type { BulkKey } from "../engines/bulk-keys.ts";
import type { OperationContext } from "./context.ts";

export type { BulkKey };

/** Gives a data key to the engine that is best for bulk data. The caller wipes the bytes and destroys the key. */
export function importBulkKey(context: OperationContext, dataKey: Uint8Array): Promise<BulkKey> {
  return context.router.aes.importBulk(dataKey);
}
