/** The public subpath `keyplane/core`: everything, around modules of the kernels that the host compiled. */

export * from "./api.ts";
export type * from "./engines/engine.ts";
export type { LoadEngine, LoadEngineOptions } from "./engines/load-engine.ts";
export { Kms, loadEngine } from "./platform/core.ts";
