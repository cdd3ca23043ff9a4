/** The public subpath `keyplane/engine`: raw primitives without a KMS. */

export type * from "./engines/engine.ts";
export { type LoadEngineOptions, loadEngine } from "./engines/load-engine.ts";
export { KmsError, type KmsErrorCode } from "./errors.ts";
