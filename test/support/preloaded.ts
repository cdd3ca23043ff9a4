/** Runs scenes of the native pool in a process of its own, with test/native/preload.cc in front of the system's libraries. */

import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { ADDON, type TestModule } from "./hsm-modules.ts";

const CHILD = resolve("test/native/preload-child.mjs");
const PRELOAD = resolve("build/Release/preload.node");

/** A library is preloaded otherwise elsewhere. */
export const canPreload: boolean = process.platform === "linux";

/** What the scenes of preload-child.mjs tell. */
interface Told {
  readonly noThreads: Record<"closed" | "again" | "refused" | "neverOpen", string> & {
    readonly settled: number;
  };
  readonly threadsAgain: { readonly told: readonly (readonly number[])[]; readonly isEarly: boolean };
  readonly nextRecord: { readonly told: readonly (readonly number[])[]; readonly wasLate: boolean };
}

/** Plays a scene and returns what it tells. */
export async function playPreloaded<Scene extends keyof Told>(
  module: TestModule,
  scene: Scene,
): Promise<Told[Scene]> {
  const page = join(module.folder, "preload-page");
  writeFileSync(page, Buffer.alloc(4096));
  const { library, tokenLabel } = module;
  const pin = new TextDecoder().decode(module.pin());
  const options = { addonFile: ADDON, library, tokenLabel, pin, scene };
  const { stdout } = await promisify(execFile)(process.execPath, [CHILD, JSON.stringify(options)], {
    env: { ...process.env, LD_PRELOAD: PRELOAD, PRELOAD_PAGE: page },
    timeout: 30_000,
  });
  return JSON.parse(stdout) as Told[Scene];
}
