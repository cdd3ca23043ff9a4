/** An `Hsm` of one token. A lost token is waited for within each call's deadline. */

import type { HardwareKeys } from "../hardware-keys.ts";
import { BaseHsm, type KeyBackend, KeyHandle } from "./base-hsm.ts";
import { tokenMakesIvs } from "./gcm-modes.ts";
import { hardwareKeysOf } from "./hardware-port.ts";
import type {
  GenerateHsmKeyRequest,
  HsmCapabilities,
  HsmHealth,
  HsmKey,
  HsmKeyReference,
  HsmStats,
  ImportHsmKeyRequest,
} from "./hsm.ts";
import { HsmError } from "./hsm-error.ts";
import type { Member } from "./member.ts";
import { keepAlive, memberHealth, memberStats } from "./member-stats.ts";
import { readGenerateRequest, readImportRequest, readReference } from "./requests.ts";
import type { CallResult } from "./token.ts";
import type { TokenCall } from "./token-call.ts";
import type { TokenKey } from "./token-key.ts";

export class TokenHsm extends BaseHsm {
  readonly hardwareKeys: HardwareKeys;
  readonly #member: Member;
  readonly #stopKeepAlive: () => void;

  constructor(member: Member) {
    super(member.deadlineMs);
    this.#member = member;
    this.hardwareKeys = hardwareKeysOf(this);
    this.#stopKeepAlive = keepAlive(member.token, member.deadlineMs);
    const name = member.name;
    member.token.watch((event) => {
      if (event.type === "relogin") this.emit("relogin", { member: name, epoch: event.epoch });
      else if (event.type === "sessionReplaced")
        this.emit("sessionReplaced", { member: name, ckr: event.ckr });
      else if (event.type === "zombie") this.emit("zombie", { member: name, count: event.count });
    });
  }

  /** The token, for the groups that it may become a member of. */
  get member(): Member {
    return this.#member;
  }

  get name(): string {
    return this.#member.name;
  }

  get capabilities(): HsmCapabilities {
    return this.#member.capabilities;
  }

  async key(request: HsmKeyReference): Promise<HsmKey> {
    const { reference, expected } = readReference(request);
    return this.#handle(await this.#member.openKey(reference, expected));
  }

  async generateKey(request: GenerateHsmKeyRequest): Promise<HsmKey> {
    return this.#handle(await this.#member.generateKey(readGenerateRequest(request)));
  }

  async importKey(request: ImportHsmKeyRequest): Promise<HsmKey> {
    const { material, ...rest } = readImportRequest(request);
    try {
      return this.#handle(await this.#member.importKey(rest, material));
    } finally {
      material.fill(0);
    }
  }

  async destroyKey(key: HsmKey): Promise<void> {
    const { info, backend } = KeyHandle.of(this, key);
    await this.#member.destroy(info.id);
    backend.release();
  }

  async listKeys(): Promise<readonly HsmKey[]> {
    const keys: HsmKey[] = [];
    for (const reference of await this.#member.listKeys()) {
      try {
        keys.push(this.#handle(await this.#member.openKey(reference)));
      } catch (error) {
        // Keys of types that are not used here are not listed.
        if (!(error instanceof HsmError) || error.code !== "Unsupported") throw error;
      }
    }
    return keys;
  }

  #handle(key: TokenKey): KeyHandle {
    return new KeyHandle(this, key.info, new TokenBackend(this.#member, key));
  }

  get makesIvs(): boolean {
    return tokenMakesIvs(this.#member.token.ivMode);
  }

  protected runKeyless(call: TokenCall, deadlineMs: number, signal?: AbortSignal): Promise<CallResult> {
    const { token } = this.#member;
    const options = {
      deadline: token.now() + deadlineMs,
      failFast: false,
      prove: () => Promise.resolve(false),
      signal,
    };
    return token.execute(call, 0, options);
  }

  stats(): HsmStats {
    return { members: [memberStats(this.#member.token, "closed")], failovers: 0 };
  }

  async health(): Promise<HsmHealth> {
    const member = await memberHealth(this.#member.token, "closed", this.deadlineMs);
    return { healthy: member.healthy, members: [member] };
  }

  recover(): Promise<void> {
    return this.#member.token.recover();
  }

  protected async closeTokens(drainMs: number): Promise<void> {
    this.#stopKeepAlive();
    await this.#member.token.close(drainMs);
  }
}

class TokenBackend implements KeyBackend {
  readonly #member: Member;
  readonly #key: TokenKey;

  constructor(member: Member, key: TokenKey) {
    this.#member = member;
    this.#key = key;
  }

  run(call: TokenCall, deadlineMs: number, signal?: AbortSignal): Promise<CallResult> {
    return this.#key.run(call, this.#member.token.now() + deadlineMs, false, signal);
  }

  served(usage: "encrypt" | "sign"): Promise<ReadonlySet<string>> {
    return this.#member.served(this.#key, usage);
  }

  release(): void {
    this.#key.release();
  }
}
