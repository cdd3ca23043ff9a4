/** Opens tokens of test modules as `keyplane/hsm` does, and lets them go after the tests of a file. */

import { afterAll } from "vitest";
import { Hsm, type HsmOptions } from "../../src/hsm.ts";
import { type ModuleName, startModule, type TestModule, whyNot } from "../support/hsm-modules.ts";

/** What opens the token of a module. */
export function hsmOptions(module: TestModule): HsmOptions {
  module.use();
  return {
    library: module.library,
    tokenLabel: module.tokenLabel,
    pin: async () => module.pin(),
    ...(module.initArgs === undefined ? {} : { initArgs: module.initArgs }),
  };
}

const opened: Hsm[] = [];
const modules: TestModule[] = [];
afterAll(async () => {
  // The first one finalises the module that they share.
  for (const hsm of opened.splice(0).reverse()) await hsm.close({ drainMs: 200 });
  for (const module of modules.splice(0)) module.dispose();
});

/** Starts a module that is removed when the file's tests are done. */
export function newModule(name: ModuleName = "softhsm", options: { copy?: boolean } = {}): TestModule {
  const module = startModule(name, options);
  modules.push(module);
  return module;
}

/** Opens a token, closed when the file's tests are done. */
export async function openToken(module: TestModule, options: Partial<HsmOptions> = {}): Promise<Hsm> {
  const hsm = await Hsm.open({ ...hsmOptions(module), ...options });
  opened.push(hsm);
  return hsm;
}

/** Why the tests of a module cannot run here; in CI they must. */
export function missing(name: ModuleName): string | undefined {
  const reason = whyNot(name);
  if (reason !== undefined && process.env["CI"] === "true") throw new Error(`${reason}; CI must have it`);
  return reason;
}
