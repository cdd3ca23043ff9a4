/** GenerateMac and VerifyMac: HMAC under a key of usage GENERATE_VERIFY_MAC. */

import { copyBytes, ensureBytes } from "../bytes.ts";
import { equalMacs } from "../engines/equal-macs.ts";
import { ensure } from "../errors.ts";
import { assertUsable, type KeyVersion } from "../keys/key.ts";
import type { MacAlgorithm } from "../keys/key-spec.ts";
import { type MaybePromise, whenReady } from "../maybe-promise.ts";
import { type OperationContext, type ResponseMetadata, resolveKey } from "./context.ts";
import { checkFields, fields, readOptionalString, readPayload, readString } from "./input.ts";
import { withBinding } from "./with-binding.ts";

export interface GenerateMacRequest {
  readonly keyId: string;
  /** 1 byte to 3 MiB. */
  readonly message: Uint8Array;
  /** The key's own; anything else is refused. */
  readonly algorithm?: MacAlgorithm | undefined;
}

export interface VerifyMacRequest extends GenerateMacRequest {
  readonly mac: Uint8Array;
}

export interface GenerateMacResponse extends ResponseMetadata {
  readonly keyId: string;
  readonly keyVersionId: string;
  /** 32, 48 or 64 bytes. */
  readonly mac: Uint8Array;
  readonly algorithm: MacAlgorithm;
}

export interface VerifyMacResponse extends ResponseMetadata {
  readonly keyId: string;
  readonly keyVersionId: string;
  readonly value: boolean;
  readonly algorithm: MacAlgorithm;
}

const GENERATE_FIELDS = fields("keyId", "message", "algorithm");
const VERIFY_FIELDS = fields("keyId", "message", "mac", "algorithm");

function computeMac(
  context: OperationContext,
  request: GenerateMacRequest,
): { version: KeyVersion; mac: MaybePromise<Uint8Array>; algorithm: MacAlgorithm } {
  const keyId = readString(request.keyId, "keyId");
  const message = readPayload(request.message, "message");
  const requested = readOptionalString(request.algorithm, "algorithm");
  const key = resolveKey(context, keyId);
  assertUsable(key, "GENERATE_VERIFY_MAC");
  const algorithm = key.identity.spec as MacAlgorithm;
  ensure(
    requested === undefined || requested === algorithm,
    "InvalidParameter",
    `algorithm must be ${algorithm} for this key.`,
  );
  const version = key.initialVersion;
  const mac = withBinding(
    context,
    version,
    "GENERATE_VERIFY_MAC",
    context.router.hmac(version),
    [message] as const,
    (binding, [own]) => binding.sign(own),
  );
  return { version, mac, algorithm };
}

/** @throws KmsError `MissingParameter`, `InvalidParameter`, `Forbidden.KeyNotFound`, `Rejected.UnsupportedOperation`, `Rejected.Disabled`, `Rejected.PendingDeletion` */
export function generateMac(
  context: OperationContext,
  request: GenerateMacRequest,
): MaybePromise<GenerateMacResponse> {
  checkFields(request, GENERATE_FIELDS);
  const { version, mac: computed, algorithm } = computeMac(context, request);
  return whenReady(computed, (mac) => ({
    keyId: version.key.keyId,
    keyVersionId: version.keyVersionId,
    mac,
    algorithm,
    requestId: context.nextRequestId(),
  }));
}

/** @throws KmsError as `generateMac`; a wrong mac of any length is `false` */
export function verifyMac(
  context: OperationContext,
  request: VerifyMacRequest,
): MaybePromise<VerifyMacResponse> {
  checkFields(request, VERIFY_FIELDS);
  const given = request.mac;
  ensure(given !== undefined, "MissingParameter", "mac is required.");
  ensureBytes(given, "mac");
  const { version, mac: computed, algorithm } = computeMac(context, request);
  const expected = computed instanceof Promise ? copyBytes(given) : given;
  return whenReady(computed, (mac) => {
    const value = equalMacs(mac, expected);
    mac.fill(0);
    return {
      keyId: version.key.keyId,
      keyVersionId: version.keyVersionId,
      value,
      algorithm,
      requestId: context.nextRequestId(),
    };
  });
}
