/** A14: processes and workers that end, and pools that close, while the pool is under load. */

import { spawn } from "node:child_process";
import { resolve } from "node:path";
import { ADDON } from "../../test/support/hsm-modules.ts";
import { text } from "../../test/support/native-pool.ts";
import { verdict } from "./rows.ts";
import type { Subject } from "./subject.ts";

const CHILD = resolve("test/native/exit-child.mjs");
const HANG_MS = 1000;
const GIVE_UP_MS = 120_000;

interface Ending {
  readonly name: string;
  readonly ending: "exit" | "close" | "terminate";
  readonly times: number;
  readonly code: number;
}

const ENDINGS: readonly Ending[] = [
  { name: "200 x process.exit", ending: "exit", times: 200, code: 7 },
  { name: "100 x close", ending: "close", times: 100, code: 7 },
  { name: "100 x worker.terminate", ending: "terminate", times: 100, code: 0 },
];

interface Ended {
  readonly ok: boolean;
  /** From when the child was loaded. */
  readonly milliseconds: number;
  readonly said: string;
}

/** Runs a child to its end, and tells whether that is the one it should have. */
function end(options: Record<string, unknown>, code: number): Promise<Ended> {
  return new Promise((settle) => {
    let loaded = performance.now();
    let said = "";
    const child = spawn(process.execPath, [CHILD, JSON.stringify(options)], {
      stdio: ["ignore", "pipe", "ignore"],
      timeout: GIVE_UP_MS,
      killSignal: "SIGKILL",
    });
    child.stdout.on("data", (chunk: Buffer) => {
      if (said === "") loaded = performance.now();
      said += chunk;
    });
    child.once("close", (status) => {
      settle({ ok: status === code, milliseconds: performance.now() - loaded, said });
    });
  });
}

export async function endings(subject: Subject): Promise<boolean> {
  const { module } = subject;
  const options = {
    addonFile: ADDON,
    library: module.library,
    tokenLabel: module.tokenLabel,
    pin: new TextDecoder().decode(module.pin()),
    keyId: new TextDecoder().decode(text("gcm")),
  };
  let met = true;
  for (const { name, ending, times, code } of ENDINGS) {
    let crashes = 0;
    let hangs = 0;
    if (ending === "terminate") {
      // One process, which tells how long the slowest took.
      const { ok, said } = await end({ ...options, ending, times }, code);
      const slowest = Number(/slowest in ([\d.]+) ms/.exec(said)?.[1] ?? Number.NaN);
      crashes = ok ? 0 : 1;
      hangs = slowest <= HANG_MS ? 0 : 1;
    } else {
      for (let i = 0; i < times; i++) {
        const ended = await end({ ...options, ending }, code);
        if (!ended.ok) crashes += 1;
        if (ended.milliseconds > HANG_MS) hangs += 1;
      }
    }
    met = verdict(`A14 ${name} under load: crashes`, crashes, "0", crashes === 0) && met;
    met = verdict(`A14 ${name} under load: longer than a second`, hangs, "0", hangs === 0) && met;
  }
  return met;
}
