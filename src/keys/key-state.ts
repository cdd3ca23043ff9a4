/**
 * The life cycle of a key as data: which action each state allows, where it leads and how it is refused.
 * Source: "Impact of CMK status on API calls" of the vendor's documentation.
 */

import { KmsError, type KmsErrorCode } from "../errors.ts";

export type KeyState = "Enabled" | "Disabled" | "PendingDeletion" | "PendingImport";

/** What may be done to a key. `Use` stands for every cryptographic call, GetPublicKey and the MAC calls included. */
export type KeyAction =
  | "Use"
  | "RotateKey"
  | "UpdateRotationPolicy"
  | "CreateKeyVersion"
  | "SetDeletionProtection"
  | "UpdateKeyDescription"
  | "TagResource"
  | "EnableKey"
  | "DisableKey"
  | "ScheduleKeyDeletion"
  | "CancelKeyDeletion"
  | "CreateAlias"
  | "UpdateAlias"
  | "DeleteAlias"
  | "Describe"
  | "GetParametersForImport"
  | "ImportKeyMaterial"
  | "DeleteKeyMaterial"
  | "MaterialExpiry";

/** A cell: the state afterwards, or the code of the refusal. */
type Cell = { readonly next: KeyState } | { readonly refusal: KmsErrorCode };
type Row = Readonly<Record<KeyState, Cell>>;

const to = (next: KeyState): Cell => ({ next });
const no = (refusal: KmsErrorCode): Cell => ({ refusal });
const row = (Enabled: Cell, Disabled: Cell, PendingDeletion: Cell, PendingImport: Cell): Row => ({
  Enabled,
  Disabled,
  PendingDeletion,
  PendingImport,
});

const STAYS: Row = row(to("Enabled"), to("Disabled"), to("PendingDeletion"), to("PendingImport"));
const ONLY_ENABLED: Row = row(
  to("Enabled"),
  no("Rejected.Disabled"),
  no("Rejected.PendingDeletion"),
  no("Rejected.PendingImport"),
);
const NOT_DELETED: Row = row(
  to("Enabled"),
  to("Disabled"),
  no("Rejected.PendingDeletion"),
  to("PendingImport"),
);
const MODIFIED_FAILED: Cell = no("Rejected.StateModifiedFailed");

/** Columns: Enabled, Disabled, PendingDeletion, PendingImport. UpdateAlias is judged by the target key alone. */
export const STATE_TABLE: Readonly<Record<KeyAction, Row>> = {
  Use: ONLY_ENABLED,
  RotateKey: ONLY_ENABLED,
  UpdateRotationPolicy: ONLY_ENABLED,
  CreateKeyVersion: ONLY_ENABLED,
  SetDeletionProtection: ONLY_ENABLED,
  UpdateKeyDescription: NOT_DELETED,
  TagResource: NOT_DELETED,
  EnableKey: row(to("Enabled"), to("Enabled"), MODIFIED_FAILED, MODIFIED_FAILED),
  DisableKey: row(to("Disabled"), to("Disabled"), MODIFIED_FAILED, MODIFIED_FAILED),
  ScheduleKeyDeletion: row(
    to("PendingDeletion"),
    to("PendingDeletion"),
    MODIFIED_FAILED,
    to("PendingDeletion"),
  ),
  CancelKeyDeletion: row(MODIFIED_FAILED, MODIFIED_FAILED, to("Enabled"), MODIFIED_FAILED),
  CreateAlias: row(to("Enabled"), to("Disabled"), MODIFIED_FAILED, to("PendingImport")),
  UpdateAlias: NOT_DELETED,
  DeleteAlias: STAYS,
  Describe: STAYS,
  GetParametersForImport: STAYS,
  ImportKeyMaterial: row(to("Enabled"), to("Disabled"), MODIFIED_FAILED, to("Enabled")),
  DeleteKeyMaterial: row(
    to("PendingImport"),
    to("PendingImport"),
    to("PendingDeletion"),
    to("PendingImport"),
  ),
  MaterialExpiry: row(to("PendingImport"), to("PendingImport"), to("PendingDeletion"), to("PendingImport")),
};

const REFUSALS: Readonly<Partial<Record<KmsErrorCode, string>>> = {
  "Rejected.Disabled": "The key is disabled.",
  "Rejected.PendingDeletion": "The key is scheduled for deletion.",
  "Rejected.PendingImport": "The key has no material yet.",
  "Rejected.StateModifiedFailed": "The key's state does not allow this change.",
};

/**
 * Returns the state an action leads to.
 *
 * @throws KmsError the refusal of the table: `Rejected.Disabled`, `Rejected.PendingDeletion`, `Rejected.PendingImport`, `Rejected.StateModifiedFailed`
 */
export function stateAfter(action: KeyAction, state: KeyState): KeyState {
  const cell = STATE_TABLE[action][state];
  if ("refusal" in cell)
    throw new KmsError(cell.refusal, REFUSALS[cell.refusal] ?? "The key refuses this call.");
  return cell.next;
}
