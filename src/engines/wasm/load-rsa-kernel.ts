/** Loads the RSA module, which is compiled when an engine first needs it. */

import { ModuleLoader } from "./module.ts";
import { probeFusedMultiplyAdd, probeSwizzle } from "./probe.ts";
import { bindRsaKernel, type RsaKernel } from "./rsa-kernel.ts";

export const rsaLoader: ModuleLoader<RsaKernel> = new ModuleLoader({
  bind: bindRsaKernel,
  isSupported: (build) => (build === "relaxed" ? probeFusedMultiplyAdd() : probeSwizzle(build)),
  // Binding lets the module test itself.
  answersRightly: () => true,
});
