/**
 * One configuration for every test run. `KEYPLANE_SLOW=1` runs the long ones instead (`*.slow.test.ts`),
 * `KEYPLANE_RUNTIMES=1` those that need other runtimes (`*.runtimes.test.ts`).
 */

import { defineConfig } from "vitest/config";

const KINDS = ["slow", "runtimes"];

const kind = KINDS.find((name) => process.env[`KEYPLANE_${name.toUpperCase()}`] === "1");
const slow = kind === "slow";

export default defineConfig({
  root: new URL("..", import.meta.url).pathname,
  test: {
    include: [kind === undefined ? "test/**/*.test.ts" : `test/**/*.${kind}.test.ts`],
    exclude: [
      "**/node_modules/**",
      ...(kind === undefined ? KINDS.map((name) => `test/**/*.${name}.test.ts`) : []),
    ],
    testTimeout: slow ? 1_800_000 : 60_000,
    hookTimeout: 120_000,
    // Whether a browser starts at once is not for these tests to say.
    retry: kind === "runtimes" ? 1 : 0,
    pool: "forks",
    maxWorkers: 2,
  },
});
