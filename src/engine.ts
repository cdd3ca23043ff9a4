/** The public subpath `keyplane/engine` of Node, Bun and Deno: raw primitives without a KMS. */

export type * from "./engines/engine.ts";
export type { LoadEngine, LoadEngineOptions } from "./engines/load-engine.ts";
export { KmsError, type KmsErrorCode } from "./errors.ts";
export { loadEngine } from "./platform/node-engine.ts";
