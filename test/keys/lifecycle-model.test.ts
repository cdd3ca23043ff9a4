/** Random histories of keys, checked call by call against a reference model. Mutations of it are in test/mutation. */

import fc from "fast-check";
import { expect, test } from "vitest";
import { COMMANDS, openAll, start } from "./support/commands.ts";
import { checkAll } from "./support/world.ts";

/** Uses a key version may see: few, so that histories reach the limit, and the real one. */
const limit = fc.constantFrom(3, 10, 2 ** 32);

test("every history of calls goes as the reference model says", { timeout: 120_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(
      limit,
      fc.commands(COMMANDS, { maxCommands: 60, size: "max" }),
      async (uses, commands) => {
        const { model, real } = await start(uses);
        try {
          await fc.asyncModelRun(() => ({ model, real }), commands);
          await checkAll(model, real);
          await openAll(model, real);
        } finally {
          await real.kms.close();
        }
      },
    ),
    // The mutation run wants the verdict, not the shortest history.
    { numRuns: 1000, endOnFailure: process.env["KEYPLANE_MUTATION"] === "1" },
  );
  expect.hasAssertions();
});
