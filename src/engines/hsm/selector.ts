/** Chooses the order in which members of a group are asked. */

import type { Breaker } from "./breaker.ts";

/**
 * least-outstanding: the member with the fewest calls under way. round-robin: each in turn. primary-standby: the first
 * member that is in service.
 */
export type GroupPolicy = "least-outstanding" | "round-robin" | "primary-standby";

interface Selectable {
  readonly member: { readonly token: { readonly outstanding: number } };
  readonly breaker: Breaker;
}

export class Selector {
  readonly #policy: GroupPolicy;
  #turn = 0;

  constructor(policy: GroupPolicy) {
    this.#policy = policy;
  }

  /** Returns the member to ask first: of those in service, or of all when none is. */
  choose<T extends Selectable>(members: readonly T[]): T | undefined {
    let best: T | undefined;
    let bestRank = Number.POSITIVE_INFINITY;
    const count = members.length;
    if (this.#policy === "round-robin") this.#turn = (this.#turn + 1) % Math.max(1, count);
    for (let i = 0; i < count; i++) {
      const at = this.#policy === "round-robin" ? (i + this.#turn) % count : i;
      const candidate = members[at] as T;
      const isOut = candidate.breaker.state !== "closed";
      const load = this.#policy === "least-outstanding" ? candidate.member.token.outstanding : i;
      const rank = (isOut ? 1e9 : 0) + load;
      if (rank < bestRank) {
        best = candidate;
        bestRank = rank;
      }
    }
    return best;
  }

  /** Returns all members, the one to ask first in front. */
  order<T extends Selectable>(members: readonly T[]): readonly T[] {
    const rest = [...members];
    const ordered: T[] = [];
    while (rest.length > 0) {
      const next = this.choose(rest);
      if (next === undefined) break;
      ordered.push(next);
      rest.splice(rest.indexOf(next), 1);
    }
    return ordered;
  }
}
