/** Keyplane for browsers and edge runtimes. Nothing is defined here. */

export * from "./api.ts";
export { Kms } from "./platform/web.ts";
