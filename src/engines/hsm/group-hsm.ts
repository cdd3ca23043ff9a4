/**
 * An `Hsm` of several tokens that hold the same keys. Calls go to one member and, where it fails, to the next; a member
 * that keeps failing is left out until a probe succeeds, one whose key is another is never used for it.
 */

import type { HardwareKeys } from "../hardware-keys.ts";
import { BaseHsm, KeyHandle } from "./base-hsm.ts";
import { Breaker, type BreakerOptions } from "./breaker.ts";
import { tokenMakesIvs } from "./gcm-modes.ts";
import { GroupKey } from "./group-key.ts";
import { hardwareKeysOf } from "./hardware-port.ts";
import type {
  GenerateHsmKeyRequest,
  HsmCapabilities,
  HsmHealth,
  HsmKey,
  HsmKeyReference,
  HsmKeySpec,
  HsmStats,
  ImportHsmKeyRequest,
} from "./hsm.ts";
import { HsmError } from "./hsm-error.ts";
import { isDeviceFault } from "./judge.ts";
import type { Member } from "./member.ts";
import { keepAlive, memberHealth, memberStats, probe } from "./member-stats.ts";
import { readGenerateRequest, readImportRequest, readReference } from "./requests.ts";
import { type GroupPolicy, Selector } from "./selector.ts";
import type { CallResult, TokenEvent } from "./token.ts";
import type { TokenCall } from "./token-call.ts";
import type { TokenKey } from "./token-key.ts";

/** A member as the group sees it. */
export interface GroupMember {
  readonly member: Member;
  readonly breaker: Breaker;
  readonly stop: () => void;
}

export class GroupHsm extends BaseHsm {
  readonly hardwareKeys: HardwareKeys;
  readonly #members: readonly GroupMember[];
  readonly #selector: Selector;
  #failovers = 0;

  constructor(members: readonly Member[], policy: GroupPolicy, breaker: BreakerOptions) {
    super(Math.max(...members.map((member) => member.deadlineMs)));
    this.hardwareKeys = hardwareKeysOf(this);
    this.#members = members.map((member) => this.#join(member, breaker));
    this.#selector = new Selector(policy);
  }

  #join(member: Member, options: BreakerOptions): GroupMember {
    const { name, token } = member;
    const breaker = new Breaker(
      options,
      () => probe(token, this.deadlineMs),
      (state, error) =>
        this.emit("breaker", { member: name, state, ...(error === undefined ? {} : { error }) }),
    );
    const unwatch = token.watch((event) => this.#onTokenEvent(name, breaker, event));
    const stopKeepAlive = keepAlive(token, member.deadlineMs);
    const stop = (): void => {
      unwatch();
      stopKeepAlive();
      breaker.stop();
    };
    return { member, breaker, stop };
  }

  #onTokenEvent(name: string, breaker: Breaker, event: TokenEvent): void {
    switch (event.type) {
      case "relogin":
        this.emit("relogin", { member: name, epoch: event.epoch });
        breaker.probeNow();
        return;
      case "sessionReplaced":
        this.emit("sessionReplaced", { member: name, ckr: event.ckr });
        return;
      case "zombie":
        this.emit("zombie", { member: name, count: event.count });
        return;
      case "lost":
        breaker.failed(event.error, true);
        return;
      case "exhausted": {
        const facts = { code: "Timeout", outcome: "unknown", member: name } as const;
        breaker.failed(new HsmError("Every thread of the HSM waits for an answer.", facts), true);
      }
    }
  }

  get name(): string {
    return this.#members.map(({ member }) => member.name).join(" + ");
  }

  get capabilities(): HsmCapabilities {
    const all = this.#members.map(({ member }) => member.capabilities);
    const [first, ...others] = all;
    const mechanisms = (first?.mechanisms ?? []).filter((mechanism) =>
      others.every((other) => other.mechanisms.includes(mechanism)),
    );
    const algorithms: Partial<Record<HsmKeySpec, readonly string[]>> = {};
    for (const [spec, served] of Object.entries(first?.algorithms ?? {})) {
      const name = spec as HsmKeySpec;
      algorithms[name] = served.filter((algorithm) =>
        others.every((other) => other.algorithms[name]?.includes(algorithm) === true),
      );
    }
    return { mechanisms, algorithms };
  }

  async key(request: HsmKeyReference): Promise<HsmKey> {
    const { reference, expected } = readReference(request);
    const key = await GroupKey.open(this.#group(), reference, expected);
    return new KeyHandle(this, key.info, key);
  }

  /** What keys need of the group. */
  #group(): ConstructorParameters<typeof GroupKey>[0] {
    return {
      members: this.#members,
      selector: this.#selector,
      onFailover: (from, to, error) => {
        this.#failovers += 1;
        this.emit("failover", { from, to, error });
      },
      onRefused: (member, error) => this.emit("keyRefused", { member, error }),
    };
  }

  /** Makes the key in one member; how the others come by it is the operator's or the vendor's replication. */
  async generateKey(request: GenerateHsmKeyRequest): Promise<HsmKey> {
    const read = readGenerateRequest(request);
    const made = await this.#firstThat((member) => member.generateKey(read));
    const { id, checkValue, spki } = made.info;
    const kind = made.info.facts.type === "aes" ? "secret" : "private";
    made.release();
    const key = await GroupKey.open(this.#group(), { id, kind }, { checkValue, spki });
    return new KeyHandle(this, key.info, key);
  }

  async importKey(request: ImportHsmKeyRequest): Promise<HsmKey> {
    const { material, ...read } = readImportRequest(request);
    const named = { ...read, id: read.id ?? crypto.getRandomValues(new Uint8Array(16)) };
    const made: { member: Member; key: TokenKey }[] = [];
    try {
      for (const { member } of this.#members)
        made.push({ member, key: await member.importKey(named, material) });
    } catch (error) {
      // All members or none.
      for (const { member, key } of made) {
        key.release();
        await member.destroy(named.id).catch(() => undefined);
      }
      throw error;
    } finally {
      material.fill(0);
    }
    for (const { key } of made) key.release();
    const key = await GroupKey.open(this.#group(), { id: named.id }, made[0]?.key.info);
    return new KeyHandle(this, key.info, key);
  }

  /** Destroys the key in every member; one that cannot be reached fails the call, which may be made again. */
  async destroyKey(key: HsmKey): Promise<void> {
    const { info, backend } = KeyHandle.of(this, key);
    const outcomes = await Promise.allSettled(this.#members.map(({ member }) => member.destroy(info.id)));
    const failed = outcomes.find((outcome) => outcome.status === "rejected");
    if (failed !== undefined) throw failed.reason;
    backend.release();
  }

  async listKeys(): Promise<readonly HsmKey[]> {
    const keys: HsmKey[] = [];
    const seen = new Set<string>();
    for (const { member } of this.#members) {
      for (const { id, kind } of await member.listKeys()) {
        const name = `${kind} ${id.join(",")}`;
        if (seen.has(name)) continue;
        seen.add(name);
        try {
          keys.push(await this.key({ id, kind }));
        } catch (error) {
          if (!(error instanceof HsmError) || error.code !== "Unsupported") throw error;
        }
      }
    }
    return keys;
  }

  /** Asks members in turn until one does it; faults of the request end the search. */
  async #firstThat<T>(call: (member: Member) => Promise<T>): Promise<T> {
    let failure: unknown;
    for (const { member, breaker } of this.#selector.order(this.#members)) {
      try {
        return await call(member);
      } catch (error) {
        if (!(error instanceof HsmError) || !isDeviceFault(error.code)) throw error;
        breaker.failed(error, error.code === "TokenLost");
        failure = error;
      }
    }
    throw failure;
  }

  get makesIvs(): boolean {
    return this.#members.some(({ member }) => tokenMakesIvs(member.token.ivMode));
  }

  protected runKeyless(call: TokenCall, deadlineMs: number, signal?: AbortSignal): Promise<CallResult> {
    return this.#firstThat(({ token }) => {
      const options = {
        deadline: token.now() + deadlineMs,
        failFast: true,
        prove: () => Promise.resolve(false),
        signal,
      };
      return token.execute(call, 0, options);
    });
  }

  stats(): HsmStats {
    const members = this.#members.map(({ member, breaker }) => memberStats(member.token, breaker.state));
    return { members, failovers: this.#failovers };
  }

  async health(): Promise<HsmHealth> {
    const members = await Promise.all(
      this.#members.map(({ member, breaker }) => memberHealth(member.token, breaker.state, this.deadlineMs)),
    );
    return { healthy: members.some(({ healthy }) => healthy), members };
  }

  async recover(): Promise<void> {
    await Promise.allSettled(this.#members.map(({ member }) => member.token.recover()));
  }

  protected async closeTokens(drainMs: number): Promise<void> {
    for (const { stop } of this.#members) stop();
    await Promise.all(this.#members.map(({ member }) => member.token.close(drainMs)));
  }
}
