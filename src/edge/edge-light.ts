/** Keyplane for Vercel's edge runtime. Nothing is defined here. */

export * from "../api.ts";
export { Kms } from "../platform/edge-light.ts";
