/** What every operation works with: the keys, the engines and the few facts of one open `Kms`. */

import type { AesLookup } from "../engines/batch-stage.ts";
import type { SealStage } from "../engines/engine.ts";
import type { IvPool } from "../engines/random.ts";
import type { Router } from "../engines/router.ts";
import type { BlobSlab } from "../envelope/blob-slab.ts";
import type { ContextCache } from "../envelope/encryption-context.ts";
import type { FrameScratch } from "../envelope/frame-scratch.ts";
import type { Key } from "../keys/key.ts";
import type { ArnScope } from "../keys/key-id.ts";
import type { KeyRing } from "../keys/key-ring.ts";
import type { KeyRecords } from "./key-records.ts";
import type { SignatureStage } from "./signature-stage.ts";

export interface OperationContext {
  readonly ring: KeyRing;
  readonly records: KeyRecords;
  readonly router: Router;
  /** Finds the AES-GCM binding of a version; within a batch it stays with the engine it began with. */
  readonly aesGcm: AesLookup;
  /** Collects what a batch seals, where an engine does that; absent outside batches. */
  readonly stage: SealStage | undefined;
  /** Collects what a batch signs and verifies; absent outside batches. */
  readonly signatures: SignatureStage | undefined;
  readonly ivs: IvPool;
  /** Memory for ciphertext. */
  readonly slab: BlobSlab;
  readonly frames: FrameScratch;
  readonly contexts: ContextCache;
  readonly scope: ArnScope;
  /** Milliseconds since the epoch. */
  readonly clock: () => number;
  /** `limits: "strict"`: what the vendor does not serve is refused. */
  readonly isStrict: boolean;
  /** Most bytes of a symmetric plaintext. */
  readonly maxPlaintextLength: number;
  /** "none" leaves detached ciphertext plain GCM over the caller's aad, for exchange with other implementations. */
  readonly aadFraming: "keyplane" | "none";
  readonly contextEncoding: "keyplane" | "aliyun-transfer-v1";
  /** False for the synchronous twins: what has to wait for the store is refused before anything is spent on it. */
  readonly mayWait: boolean;
  /** Waits for the engine of long messages, where that is made ready late. */
  readonly prepareBulk: () => Promise<void>;
  nextRequestId(): string;
}

/** What all contexts of one open `Kms` have in common. */
export type OperationFacts = Omit<OperationContext, "aesGcm" | "stage" | "signatures">;

/**
 * Builds a context. All of them come from here, field by field: objects of one shape keep the operations quick, and copying
 * by spread takes longer than sealing three messages.
 */
export function contextOf(
  facts: OperationFacts,
  aesGcm: AesLookup,
  stage?: SealStage,
  signatures?: SignatureStage,
): OperationContext {
  return {
    ring: facts.ring,
    records: facts.records,
    router: facts.router,
    aesGcm,
    stage,
    signatures,
    ivs: facts.ivs,
    slab: facts.slab,
    frames: facts.frames,
    contexts: facts.contexts,
    scope: facts.scope,
    clock: facts.clock,
    isStrict: facts.isStrict,
    maxPlaintextLength: facts.maxPlaintextLength,
    aadFraming: facts.aadFraming,
    contextEncoding: facts.contextEncoding,
    mayWait: facts.mayWait,
    prepareBulk: facts.prepareBulk,
    nextRequestId: facts.nextRequestId,
  };
}

/** What every response names. */
export interface ResponseMetadata {
  readonly requestId: string;
}

/**
 * Finds the key a request names. A key whose deletion is due is gone, whether or not it has been carried out.
 *
 * @throws KmsError `Forbidden.KeyNotFound`, `Rejected.RecordCorrupt`; `Rejected.Closed` in what a close overtook
 */
export function resolveKey(context: OperationContext, reference: string): Key {
  context.records.refuseClosed();
  const key = context.ring.resolve(reference);
  return context.records.isGone(key) ? context.ring.resolve("") : key;
}
