/** Reads the figures of a token, and asks it for a sign of life. */

import { randomCall } from "./base-hsm.ts";
import type { BreakerState, HsmHealth, HsmMemberStats } from "./hsm.ts";
import { HsmError } from "./hsm-error.ts";
import { STAT } from "./pool-figures.ts";
import { STATE } from "./record.ts";
import type { Token } from "./token.ts";

const STATE_NAMES: Readonly<Record<number, HsmMemberStats["state"]>> = {
  [STATE.READY]: "ready",
  [STATE.OPENING]: "recovering",
  [STATE.RECOVERING]: "recovering",
  [STATE.LOST]: "lost",
  [STATE.LOCKED]: "locked",
};

export function memberStats(token: Token, breaker: BreakerState): HsmMemberStats {
  const figures = token.statistics();
  const of = (name: keyof typeof STAT): number => figures[STAT[name]] ?? 0;
  return {
    member: token.name,
    state: token.isClosed ? "closed" : (STATE_NAMES[of("state")] ?? "closed"),
    breaker,
    epoch: of("epoch"),
    outstanding: token.outstanding,
    queued: of("queuedRecords"),
    running: of("running"),
    zombies: of("zombies"),
    sessions: of("sessionsOpen"),
    maxSessions: of("maxSessions"),
    submitted: of("submitted"),
    completed: of("completed"),
    failed: of("failed"),
    notSent: of("notSent"),
    timedOut: of("timedOut"),
    retried: of("retried"),
    sessionsReplaced: of("sessionsReplaced"),
    recoveries: of("recoveries"),
    logins: of("logins"),
    bytesIn: of("bytesIn"),
    bytesOut: of("bytesOut"),
    oldestQueuedMs: of("oldestQueuedMs"),
  };
}

const PROBE_LENGTH = 16;

/** Asks for a few random bytes: a real call, where C_GetSessionInfo is answered by many modules on this side. */
export async function probe(token: Token, deadlineMs: number): Promise<void> {
  const options = {
    deadline: token.now() + deadlineMs,
    failFast: true,
    prove: () => Promise.resolve(false),
  };
  const { output } = await token.execute(randomCall(PROBE_LENGTH), 0, options);
  if (output?.length !== PROBE_LENGTH) {
    throw new HsmError("The HSM gave no random bytes.", { code: "DeviceError", member: token.name });
  }
}

export async function memberHealth(
  token: Token,
  breaker: BreakerState,
  deadlineMs: number,
): Promise<HsmHealth["members"][number]> {
  const started = performance.now();
  try {
    await probe(token, deadlineMs);
    return { member: token.name, healthy: true, breaker, latencyMs: performance.now() - started };
  } catch (error) {
    if (!(error instanceof HsmError)) throw error;
    return { member: token.name, healthy: false, breaker, error };
  }
}

const IDLE_PROBE_MS = 30_000;

/** Keeps idle sessions from being closed by the other side, and learns of a loss before a caller does. Returns how to stop. */
export function keepAlive(token: Token, deadlineMs: number): () => void {
  const timer = setInterval(() => {
    if (token.outstanding > 0 || token.now() - token.lastUse < IDLE_PROBE_MS) return;
    probe(token, deadlineMs).catch(() => undefined);
  }, IDLE_PROBE_MS);
  timer.unref();
  return () => clearInterval(timer);
}
