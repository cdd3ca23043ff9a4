/** Keyplane for Cloudflare Workers. Nothing is defined here. */

export * from "../api.ts";
export { Kms } from "../platform/workerd.ts";
