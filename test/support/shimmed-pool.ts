/** Opens native pools over shims in front of one SoftHSM token with a known key, for tests of faults and races. */

import { randomBytes } from "node:crypto";
import { afterAll, afterEach, beforeAll } from "vitest";
import type { PoolOptions, ResolvedKey } from "../../src/engines/hsm/addon.ts";
import { STATUS } from "../../src/engines/hsm/record.ts";
import { requireModule, startModule, type TestModule, whyNot } from "./hsm-modules.ts";
import { CKO, Driver, type Outcome } from "./native-pool.ts";
import { type Shim, shimOver } from "./shim.ts";

type Skip = (reason: string) => void;
/** Options of the pool, and of its driver. */
export type ShimmedOptions = Partial<PoolOptions> & { readonly records?: number };

export interface Shimmed {
  readonly driver: Driver;
  readonly shim: Shim;
}

export interface ReadyPool extends Shimmed {
  readonly key: ResolvedKey;
}

export interface ShimmedPools {
  /** Of the key, which is called "key". */
  readonly material: Uint8Array;
  /** Makes a pool on a shim of its own, not open yet; it is closed after the test. */
  make(skip: Skip, options?: ShimmedOptions): Shimmed;
  /** Makes and opens a pool, and runs so many records, so that threads and sessions are there. */
  ready(skip: Skip, options?: ShimmedOptions & { readonly warmUp?: number }): Promise<ReadyPool>;
}

/** Call once in a file of tests: it starts the token and ends what the tests leave. */
export function shimmedPools(): ShimmedPools {
  const material = randomBytes(32);
  let token: TestModule | undefined;
  let driver: Driver | undefined;
  let shim: Shim | undefined;
  let shims = 0;

  beforeAll(async () => {
    if (whyNot("softhsm") !== undefined) return;
    token = startModule("softhsm");
    const maker = new Driver(token);
    await maker.pool.open();
    await maker.importAes("key", material);
    await maker.close();
  });

  afterEach(async () => {
    shim?.calm();
    await driver?.close(500);
    driver = undefined;
  });

  afterAll(() => token?.dispose());

  const make = (skip: Skip, options: ShimmedOptions = {}): Shimmed => {
    requireModule(skip, "softhsm");
    if (token === undefined) throw new Error("there is no token");
    shim = shimOver(token, `shim-${++shims}`);
    driver = new Driver(shim, options);
    return { driver, shim };
  };

  return {
    material,
    make,
    async ready(skip, { warmUp = 8, ...options } = {}) {
      const made = make(skip, options);
      await made.driver.pool.open();
      const key = await made.driver.find("key", CKO.SECRET_KEY);
      await made.driver.run(Array.from({ length: warmUp }, () => made.driver.encrypt(key, randomBytes(16))));
      return { ...made, key };
    },
  };
}

export function isDone({ status, ckr }: Outcome): boolean {
  return status === STATUS.DONE && ckr === 0;
}
