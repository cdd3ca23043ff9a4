/** A13: a group of two members, one of which dies under load and comes back. */

import { execFileSync } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { Hsm } from "../../src/hsm.ts";
import { startModule } from "../../test/support/hsm-modules.ts";
import { shimOver } from "../../test/support/shim.ts";
import { verdict } from "./rows.ts";

const DEVICE_REMOVED = 0x32;
const CALLERS = 64;
const LABELS = ["member 1", "member 2"] as const;

export async function memberDies(): Promise<boolean> {
  const base = startModule("softhsm");
  base.use();
  for (const label of LABELS) {
    const pins = ["--pin", new TextDecoder().decode(base.pin()), "--so-pin", "5678"];
    execFileSync("softhsm2-util", ["--init-token", "--free", "--label", label, ...pins], { stdio: "pipe" });
  }
  const shims = LABELS.map((tokenLabel, i) =>
    shimOver({ ...base, tokenLabel, dispose: () => undefined }, `member${i}`),
  );
  const open = ({ library, tokenLabel }: { library: string; tokenLabel: string }) =>
    Hsm.open({ library, tokenLabel, pin: async () => base.pin(), deadlineMs: 5000, sessions: { max: 16 } });
  // Both shims lead to one SoftHSM2, which two threads must not initialise at once.
  const keeper = await open(base);
  const members = await Promise.all(shims.map(open));
  const group = Hsm.group(members, { policy: "least-outstanding" });
  const key = await group.importKey({ keySpec: "Aliyun_AES_256", keyMaterial: new Uint8Array(32).fill(7) });
  for (const shim of shims) shim.set({ finalUs: 2000 });

  let done = 0;
  let failed = 0;
  let isOver = false;
  const caller = async (): Promise<void> => {
    while (!isOver) {
      try {
        await group.encrypt(key, { plaintext: new Uint8Array(32) });
        done += 1;
      } catch {
        failed += 1;
      }
    }
  };
  const rate = async (milliseconds: number): Promise<number> => {
    const from = done;
    const started = performance.now();
    await sleep(milliseconds);
    return (done - from) / (performance.now() - started);
  };
  const callers = Array.from({ length: CALLERS }, caller);
  // The governors first.
  await sleep(3000);
  const before = await rate(2000);
  for (const name of [
    "C_EncryptInit",
    "C_Encrypt",
    "C_GenerateRandom",
    "C_OpenSession",
    "C_GetTokenInfo",
    "C_GetSessionInfo",
  ] as const) {
    shims[0]?.rule(name, { action: "failBefore", argument: DEVICE_REMOVED });
  }
  await sleep(1000);
  const alone = (await rate(1000)) / before;
  shims[0]?.calm();
  await sleep(5000);
  const back = (await rate(2000)) / before;
  isOver = true;
  await Promise.all(callers);
  await group.close({ drainMs: 500 });
  await keeper.close();
  base.dispose();

  const rows = [
    verdict("A13 two members, one dies: calls that fail", failed, "0", failed === 0),
    verdict("A13 two members, one dies: rate a second later / before", alone, ">= 0.45", alone >= 0.45),
    verdict("A13 two members, one is back: rate 5 s later / before", back, ">= 0.9", back >= 0.9),
  ];
  return rows.every(Boolean);
}
