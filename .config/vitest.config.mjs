/** One configuration for every test run; `KEYPLANE_SLOW=1` adds the long ones (`*.slow.test.ts`). */

import { defineConfig } from "vitest/config";

const slow = process.env.KEYPLANE_SLOW === "1";

export default defineConfig({
  root: new URL("..", import.meta.url).pathname,
  test: {
    include: slow ? ["test/**/*.slow.test.ts"] : ["test/**/*.test.ts"],
    exclude: slow ? [] : ["test/**/*.slow.test.ts"],
    testTimeout: slow ? 1_800_000 : 60_000,
    hookTimeout: 120_000,
    pool: "forks",
    maxWorkers: 2,
  },
});
