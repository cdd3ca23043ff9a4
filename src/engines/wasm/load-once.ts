/** Sees to it that a module of kernels is loaded once by all who need it at a time, and anew after a failure. */

import type { LazyModule } from "../choose-engine.ts";

/**
 * @param load loads a module
 * @param isThere tells whether it was loaded, by whomever
 * @returns what gives undefined for a module that is there, and else the wait for it
 */
export function loadOnce(
  load: (module: LazyModule) => Promise<void>,
  isThere: (module: LazyModule) => boolean,
): (module: LazyModule) => Promise<void> | undefined {
  const loading = new Map<LazyModule, Promise<void>>();
  return (module) => {
    if (isThere(module)) return undefined;
    let wait = loading.get(module);
    if (wait === undefined) {
      wait = load(module).finally(() => loading.delete(module));
      loading.set(module, wait);
    }
    return wait;
  };
}
