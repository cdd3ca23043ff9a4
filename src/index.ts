/** Keyplane for Node, Bun and Deno. Nothing is defined here. */

export * from "./api.ts";
export { createRootKeyFile, Kms } from "./platform/node.ts";
