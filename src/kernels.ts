/**
 * The public subpath `keyplane/kernels`: every build as text in the importing bundle, for service workers that no bundler
 * made, which have no import().
 */

export type { WasmModules } from "./engines/engine.ts";
export { compileKernels } from "./platform/kernels.ts";
