/** One key in the members of a group: sends each call to a member that has it, and to another when that one fails. */

import type { KeyBackend } from "./base-hsm.ts";
import type { Breaker } from "./breaker.ts";
import { HsmError } from "./hsm-error.ts";
import { isDeviceFault } from "./judge.ts";
import type { KeyIdentityCheck, KeyInfo } from "./key-info.ts";
import type { Member } from "./member.ts";
import type { Selector } from "./selector.ts";
import type { CallResult } from "./token.ts";
import { ownCall, type TokenCall } from "./token-call.ts";
import type { KeyReference, TokenKey } from "./token-key.ts";
import { pause } from "./waiting.ts";

interface GroupMember {
  readonly member: Member;
  readonly breaker: Breaker;
}

export interface Group {
  readonly members: readonly GroupMember[];
  readonly selector: Selector;
  onFailover(from: string, to: string, error: HsmError): void;
  onRefused(member: string, error: HsmError): void;
}

/** How long a member that lacks a key, or has another in its place, is not asked for it again. */
const RECHECK_MS = 5000;

interface Holder extends GroupMember {
  key: TokenKey | undefined;
  /** Before this moment (of performance.now) the member is not asked for the key. */
  askAgainAt: number;
  asking: Promise<void> | undefined;
  /** The member cannot use this key with safety, and is not asked for it any more. */
  isRefused: boolean;
}

export class GroupKey implements KeyBackend {
  readonly info: KeyInfo;
  readonly #group: Group;
  readonly #reference: KeyReference;
  readonly #holders: readonly Holder[];
  #isReleased = false;

  constructor(group: Group, reference: KeyReference, info: KeyInfo, holders: readonly Holder[]) {
    this.#group = group;
    this.#reference = reference;
    this.info = info;
    this.#holders = holders;
  }

  /**
   * Finds the key in the members. The first member that has it says which key it is, unless the caller does.
   *
   * @throws HsmError `KeyNotFound` or `WrongKey` when no member has it
   */
  static async open(
    group: Group,
    reference: KeyReference,
    expected: KeyIdentityCheck | undefined,
  ): Promise<GroupKey> {
    const holders: Holder[] = group.members.map(({ member, breaker }) => ({
      member,
      breaker,
      key: undefined,
      askAgainAt: 0,
      asking: undefined,
      isRefused: false,
    }));
    const attempts = await Promise.allSettled(
      holders.map(({ member, breaker }) =>
        breaker.state === "closed"
          ? member.openKey(reference, expected)
          : Promise.reject(outOfService(member)),
      ),
    );
    let info: KeyInfo | undefined;
    let failure: unknown;
    attempts.forEach((attempt, index) => {
      const holder = holders[index] as Holder;
      if (attempt.status === "rejected") {
        failure ??= attempt.reason;
        note(group, holder, attempt.reason);
        return;
      }
      const key = attempt.value;
      info ??= key.info;
      if (key.is(info)) {
        holder.key = key;
        return;
      }
      key.release();
      const facts = { code: "WrongKey", member: holder.member.name } as const;
      note(group, holder, new HsmError("The HSM has another key in the place of this one.", facts));
    });
    if (info === undefined) throw failure;
    return new GroupKey(group, reference, info, holders);
  }

  run(call: TokenCall, deadlineMs: number, signal?: AbortSignal): Promise<CallResult> {
    const holder = this.#choose([]);
    const end = performance.now() + deadlineMs;
    if (holder?.key === undefined) return this.#failOver(ownCall(call), end, [], undefined, signal);
    const { token } = holder.member;
    // A member that hangs must leave time for another.
    const share = this.#holders.length > 1 ? Math.ceil(deadlineMs / 2) : deadlineMs;
    return holder.key.run(call, token.now() + share, true, signal).then(
      (result) => {
        holder.breaker.succeeded();
        return result;
      },
      // The caller may have changed its arrays by now; the error brings the call back.
      (error: unknown) => this.#failOver(token.takeFailedCall(error) ?? call, end, [holder], error, signal),
    );
  }

  /** Chooses a member that has the key, and asks the others for it in the background. */
  #choose(tried: readonly Holder[]): Holder | undefined {
    const now = performance.now();
    for (const holder of this.#holders) {
      const isAbsent = holder.key === undefined && holder.asking === undefined && !holder.isRefused;
      if (isAbsent && now >= holder.askAgainAt) this.#ask(holder);
    }
    const able = this.#holders.filter((holder) => holder.key !== undefined && !tried.includes(holder));
    return this.#group.selector.choose(able);
  }

  #ask(holder: Holder): void {
    if (this.#isReleased || holder.breaker.state !== "closed") return;
    holder.asking = holder.member
      .openKey(this.#reference, this.info)
      .then(
        (key) => {
          if (this.#isReleased) key.release();
          else holder.key = key;
        },
        (error: unknown) => note(this.#group, holder, error),
      )
      .finally(() => {
        holder.asking = undefined;
      });
  }

  /** Goes from member to member until one answers, they all refuse for good, or the time is up. */
  async #failOver(
    call: TokenCall,
    end: number,
    tried: readonly Holder[],
    error: unknown,
    signal: AbortSignal | undefined,
  ): Promise<CallResult> {
    const [last] = tried.slice(-1);
    if (last !== undefined && !this.#isForAnother(last, error)) throw error;
    let failure = error;
    let asked = [...tried];
    let from = last;
    try {
      for (let round = 0; ; ) {
        let holder = this.#choose(asked);
        if (holder?.key === undefined) {
          if (this.#holders.every(({ isRefused }) => isRefused)) throw failure ?? refused();
          round += 1;
          const wait = Math.min(50 * 2 ** round, 1000);
          if (performance.now() + wait >= end || this.#isReleased) {
            throw failure ?? new HsmError("No member of the group has the key.", { code: "KeyNotFound" });
          }
          await pause(wait, signal);
          if (signal?.aborted === true) throw cancelled(failure, signal.reason);
          asked = [];
          holder = this.#choose(asked);
          if (holder?.key === undefined) continue;
        }
        if (from !== undefined && failure instanceof HsmError && from !== holder) {
          this.#group.onFailover(from.member.name, holder.member.name, failure);
        }
        const { token } = holder.member;
        const left = Math.ceil(end - performance.now());
        if (left <= 0) throw failure;
        try {
          const share = this.#holders.length > 1 ? Math.ceil(left / 2) : left;
          const result = await holder.key.run(call, token.now() + share, true, signal);
          holder.breaker.succeeded();
          return result;
        } catch (next) {
          token.takeFailedCall(next);
          if (!this.#isForAnother(holder, next)) throw next;
          failure = next;
          from = holder;
          asked.push(holder);
        }
      }
    } finally {
      call.input.fill(0);
    }
  }

  /** Counts a fault against its member and tells whether another member may do better. */
  #isForAnother(holder: Holder, error: unknown): boolean {
    if (!(error instanceof HsmError)) return false;
    if (error.code === "KeyNotFound" || error.code === "WrongKey" || error.code === "KeyRefused") {
      holder.key?.release();
      holder.key = undefined;
      note(this.#group, holder, error);
      return true;
    }
    if (isDeviceFault(error.code)) {
      holder.breaker.failed(error, error.code === "TokenLost" || error.code === "LoginFailed");
      return true;
    }
    return error.code === "Busy" || error.code === "Throttled";
  }

  /** Of several members, what all that have the key serve. */
  async served(usage: "encrypt" | "sign"): Promise<ReadonlySet<string>> {
    let common: ReadonlySet<string> | undefined;
    let failure: unknown;
    for (const { member, key, breaker } of this.#holders) {
      if (key === undefined) continue;
      try {
        const served = await member.served(key, usage);
        common = common === undefined ? served : new Set([...common].filter((name) => served.has(name)));
      } catch (error) {
        if (!(error instanceof HsmError) || !isDeviceFault(error.code)) throw error;
        breaker.failed(error, error.code === "TokenLost");
        failure = error;
      }
    }
    if (common === undefined) throw failure;
    return common;
  }

  release(): void {
    this.#isReleased = true;
    for (const { key } of this.#holders) key?.release();
  }
}

/** @param failure of the last member that was asked, if any was */
function cancelled(failure: unknown, cause: unknown): HsmError {
  const outcome = failure instanceof HsmError ? failure.outcome : "not-sent";
  return new HsmError("The call was cancelled.", { code: "Cancelled", outcome, cause });
}

function refused(): HsmError {
  const facts = { code: "KeyRefused", outcome: "not-sent" } as const;
  return new HsmError("Every member of the group repeats IVs of this key or makes none.", facts);
}

function outOfService(member: Member): HsmError {
  return new HsmError("The HSM cannot be reached.", {
    code: "TokenLost",
    outcome: "not-sent",
    member: member.name,
  });
}

/** Remembers that a member does not have the key, or cannot be asked; only the former is for the listeners. */
function note(group: Group, holder: Holder, error: unknown): void {
  if (error instanceof HsmError && isDeviceFault(error.code)) {
    holder.askAgainAt = performance.now() + 200;
    return;
  }
  holder.askAgainAt = performance.now() + RECHECK_MS;
  if (error instanceof HsmError && error.code === "KeyRefused") holder.isRefused = true;
  if (error instanceof HsmError) group.onRefused(holder.member.name, error);
}
