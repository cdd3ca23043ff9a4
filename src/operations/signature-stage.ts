/**
 * Collects the signatures that a batch makes and verifies, for engines that do many at once quicker than one by one. An item
 * is checked and its message hashed when its turn comes; its answer is completed when the stage is flushed.
 */

import type { Together } from "../engines/together.ts";
import { KmsError } from "../errors.ts";

/** Most items that wait: what the kernels take at once on either curve, and no more time than a batch may hold the event loop. */
const MOST_ITEMS = 64;

/** What is staged has a digest of its own, which is wiped afterwards. */
interface StagedItem {
  readonly signable: Uint8Array;
}

/** An answer that lacks its result. */
interface Waiting {
  readonly item: StagedItem;
  readonly answer: object;
  readonly complete: (result: never) => void;
}

type Work = Together<never, unknown>;

/** Items that one call of an engine can do. */
interface Group {
  readonly work: Work;
  readonly waiting: Waiting[];
}

export class SignatureStage {
  /** Items in the batch, those done and those to come. */
  readonly batchSize: number;
  // Made when first needed: most batches sign nothing.
  #groups: Map<string, Group> | undefined;
  #failures: Map<object, KmsError> | undefined;
  #count = 0;

  constructor(batchSize: number) {
    this.batchSize = batchSize;
  }

  /**
   * Takes an item whose answer is complete but for its result.
   *
   * @param complete puts the result into the answer
   */
  add<Item extends StagedItem, Result>(
    work: Together<Item, Result>,
    item: Item,
    answer: object,
    complete: (result: Result) => void,
  ): void {
    this.#groups ??= new Map();
    let group = this.#groups.get(work.kind);
    if (group === undefined) {
      group = { work: work as Work, waiting: [] };
      this.#groups.set(work.kind, group);
    }
    group.waiting.push({ item, answer, complete: complete as (result: never) => void });
    this.#count += 1;
    if (this.#count >= MOST_ITEMS) this.flush();
  }

  /** Does all there is. What fails is told by `failureOf`; anything but a `KmsError` is thrown. */
  flush(): void {
    if (this.#groups === undefined || this.#count === 0) return;
    for (const { work, waiting } of this.#groups.values()) this.#finish(work, waiting);
    this.release();
  }

  #finish(work: Work, waiting: readonly Waiting[]): void {
    const items = waiting.map(({ item }) => item) as never[];
    let results: readonly unknown[];
    try {
      results = work.together(items);
    } catch (error) {
      if (!(error instanceof KmsError)) throw error;
      // A key may have been destroyed while later items were read; each item is to hear of its own key alone.
      for (const one of waiting) this.#finishAlone(work, one);
      return;
    }
    waiting.forEach(({ complete }, i) => {
      complete(results[i] as never);
    });
  }

  #finishAlone(work: Work, { item, answer, complete }: Waiting): void {
    try {
      complete(work.alone(item as never) as never);
    } catch (error) {
      if (!(error instanceof KmsError)) throw error;
      this.#failures ??= new Map();
      this.#failures.set(answer, error);
    }
  }

  get hasFailures(): boolean {
    return this.#failures !== undefined;
  }

  /** Tells why an answer was not completed; undefined for any other. */
  failureOf(answer: unknown): KmsError | undefined {
    return this.#failures?.get(answer as object);
  }

  /** Wipes and forgets what was not done. */
  release(): void {
    if (this.#groups === undefined) return;
    for (const { waiting } of this.#groups.values()) {
      for (const { item } of waiting) item.signable.fill(0);
    }
    this.#groups.clear();
    this.#count = 0;
  }
}
