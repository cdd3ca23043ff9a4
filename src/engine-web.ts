/** The public subpath `keyplane/engine` of browsers. */

export type * from "./engines/engine.ts";
export type { LoadEngine, LoadEngineOptions } from "./engines/load-engine.ts";
export { KmsError, type KmsErrorCode } from "./errors.ts";
export { loadEngine } from "./platform/web-engine.ts";
