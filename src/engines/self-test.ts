/**
 * Known-answer tests that run before a primitive's first use (FIPS 140-3 practice). A failed one puts the whole
 * engine in an error state that refuses every call. The answers are in `self-test-vectors.ts`.
 */

import { equalBytesVartime } from "../bytes.ts";
import { KmsError } from "../errors.ts";

/**
 * A bundler or test runner defines this constant (or sets it on the global object) to the name of one test to break it
 * on purpose. Setting it can only make an engine refuse to serve.
 */
declare const KEYPLANE_BREAK_SELF_TEST: string | undefined;

function brokenTest(): string | undefined {
  return typeof KEYPLANE_BREAK_SELF_TEST === "undefined" ? undefined : KEYPLANE_BREAK_SELF_TEST;
}

/** Corrupts a computed answer when the build flag names this test; returns it untouched otherwise. */
function answerOf(name: string, answer: Uint8Array, broken: string | undefined = brokenTest()): Uint8Array {
  if (broken !== name) return answer;
  const wrong = new Uint8Array(answer);
  wrong[0] = (wrong[0] ?? 0) ^ 1;
  return wrong;
}

/** One known-answer test: computes an answer that must equal `expected`, which may be decoded when it is read. */
export interface SelfTest {
  readonly name: string;
  compute(): Uint8Array;
  readonly expected: Uint8Array;
}

/** The same over an implementation that answers with promises. */
export interface AsyncSelfTest {
  readonly name: string;
  compute(): Promise<Uint8Array>;
  readonly expected: Uint8Array;
}

/** Runs tests once each and remembers for good that one failed. One instance an engine. */
export class SelfTests {
  /** What failed, in words. */
  #failed: string | undefined;
  readonly #passed: Set<string> = new Set();
  readonly #running: Map<string, Promise<void>> = new Map();

  /**
   * Runs a test unless it has passed before.
   *
   * @throws KmsError `InternalFailure` when it, or any test of this engine before, failed
   */
  require(test: SelfTest): void {
    this.refuseIfFailed();
    if (this.#passed.has(test.name)) return;
    let answer: Uint8Array | undefined;
    try {
      answer = answerOf(test.name, test.compute());
    } catch {
      answer = undefined;
    }
    this.#judge(test, answer);
  }

  /** Tells whether a test has passed. */
  hasPassed(name: string): boolean {
    return this.#passed.has(name);
  }

  /** Does `require` for a test that takes its time; callers that come meanwhile wait for the same run. */
  requireAsync(test: AsyncSelfTest): Promise<void> {
    const running = this.#running.get(test.name);
    if (running !== undefined) return running;
    const run = (async () => {
      this.refuseIfFailed();
      const broken = brokenTest();
      const answer = await test.compute().catch(() => undefined);
      this.#judge(test, answer === undefined ? undefined : answerOf(test.name, answer, broken));
    })();
    this.#running.set(test.name, run);
    return run;
  }

  #judge(
    test: { readonly name: string; readonly expected: Uint8Array },
    answer: Uint8Array | undefined,
  ): void {
    if (answer === undefined || !equalBytesVartime(answer, test.expected)) {
      this.fail(`self-test ${test.name}`);
    }
    this.#passed.add(test.name);
  }

  /**
   * Stops the engine for good: what it computes can no longer be relied on.
   *
   * @param what what failed, in words
   * @throws KmsError `InternalFailure`
   */
  fail(what: string): never {
    this.#failed ??= what;
    throw new KmsError("InternalFailure", `The ${this.#failed} failed; this engine does not serve.`);
  }

  /** @throws KmsError `InternalFailure` once a test has failed */
  refuseIfFailed(): void {
    if (this.#failed !== undefined) this.fail(this.#failed);
  }
}
