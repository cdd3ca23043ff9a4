/** EnableKey, DisableKey, ScheduleKeyDeletion and CancelKeyDeletion: the moves of the state table. */

import type { KeyStatus } from "../keys/key.ts";
import { type KeyAction, stateAfter } from "../keys/key-state.ts";
import { type OperationContext, type ResponseMetadata, resolveKey } from "./context.ts";
import { KEY_ID_FIELDS, type KeyIdRequest } from "./describe-key.ts";
import { checkFields, fields, readInteger, readString } from "./input.ts";

const DAY_MS = 86_400_000;

/**
 * Applies an action of the state table to a key. The caller has checked the fields.
 *
 * @param deletion for ScheduleKeyDeletion, in milliseconds since the epoch; absent clears it
 */
async function changeState(
  context: OperationContext,
  action: KeyAction,
  request: KeyIdRequest,
  deletion: { readonly deleteAt?: number } = {},
): Promise<ResponseMetadata> {
  const keyId = readString(request.keyId, "keyId");
  await context.records.inTurn(async () => {
    const key = resolveKey(context, keyId);
    const { deleteAt, ...kept } = key.status;
    const status: KeyStatus = { ...kept, state: stateAfter(action, key.status.state), ...deletion };
    if (status.state !== key.status.state || deleteAt !== status.deleteAt)
      await context.records.setStatus(key, status);
  });
  return { requestId: context.nextRequestId() };
}

/** @throws KmsError `MissingParameter`, `InvalidParameter`, `Forbidden.KeyNotFound`, `Rejected.StateModifiedFailed` */
export async function enableKey(context: OperationContext, request: KeyIdRequest): Promise<ResponseMetadata> {
  checkFields(request, KEY_ID_FIELDS);
  return changeState(context, "EnableKey", request);
}

/** @throws KmsError `MissingParameter`, `InvalidParameter`, `Forbidden.KeyNotFound`, `Rejected.StateModifiedFailed` */
export async function disableKey(
  context: OperationContext,
  request: KeyIdRequest,
): Promise<ResponseMetadata> {
  checkFields(request, KEY_ID_FIELDS);
  return changeState(context, "DisableKey", request);
}

export interface ScheduleKeyDeletionRequest extends KeyIdRequest {
  /** 7 to 366. */
  readonly pendingWindowInDays: number;
}

const SCHEDULE_FIELDS = fields("keyId", "pendingWindowInDays");

/** @throws KmsError `MissingParameter`, `InvalidParameter`, `Forbidden.KeyNotFound`, `Rejected.StateModifiedFailed` */
export async function scheduleKeyDeletion(
  context: OperationContext,
  request: ScheduleKeyDeletionRequest,
): Promise<ResponseMetadata> {
  checkFields(request, SCHEDULE_FIELDS);
  const days = readInteger(request.pendingWindowInDays, "pendingWindowInDays", 7, 366);
  return changeState(context, "ScheduleKeyDeletion", request, { deleteAt: context.clock() + days * DAY_MS });
}

/** Takes a key back from PendingDeletion to Enabled. @throws KmsError `MissingParameter`, `InvalidParameter`, `Forbidden.KeyNotFound`, `Rejected.StateModifiedFailed` */
export async function cancelKeyDeletion(
  context: OperationContext,
  request: KeyIdRequest,
): Promise<ResponseMetadata> {
  checkFields(request, KEY_ID_FIELDS);
  return changeState(context, "CancelKeyDeletion", request);
}
