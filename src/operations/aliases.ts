/** CreateAlias, UpdateAlias, DeleteAlias and ListAliases: names that point to keys. */

import { KmsError } from "../errors.ts";
import { aliasArn, ensureAliasName } from "../keys/key-id.ts";
import type { Alias } from "../keys/key-ring.ts";
import { stateAfter } from "../keys/key-state.ts";
import { type OperationContext, type ResponseMetadata, resolveKey } from "./context.ts";
import type { KeyIdRequest } from "./describe-key.ts";
import { checkFields, fields, readOptionalString, readString } from "./input.ts";
import { type PageRequest, type PageResponse, pageOf } from "./paging.ts";

export interface AliasRequest extends KeyIdRequest {
  /** `alias/` and 1 to 255 letters, digits, `_`, `-` or `/`; not `alias/acs…`. */
  readonly aliasName: string;
}

const ALIAS_FIELDS = fields("keyId", "aliasName");

function readAliasName(value: unknown): string {
  const aliasName = readString(value, "aliasName");
  ensureAliasName(aliasName);
  return aliasName;
}

/** @throws KmsError `MissingParameter`, `InvalidParameter`, `Unsupported.Alias`, `AliasAlreadyExists`, `Forbidden.KeyNotFound`, `Rejected.StateModifiedFailed` */
export async function createAlias(
  context: OperationContext,
  request: AliasRequest,
): Promise<ResponseMetadata> {
  checkFields(request, ALIAS_FIELDS);
  const aliasName = readAliasName(request.aliasName);
  const keyId = readString(request.keyId, "keyId");
  await context.records.inTurn(async () => {
    const key = resolveKey(context, keyId);
    if (findAlias(context, aliasName) !== undefined) {
      throw new KmsError("AliasAlreadyExists", "aliasName is taken.");
    }
    stateAfter("CreateAlias", key.status.state);
    await context.records.setAlias({ aliasName, keyId: key.keyId, createdAt: context.clock() });
  });
  return { requestId: context.nextRequestId() };
}

/** Points an alias to another key. @throws KmsError `MissingParameter`, `InvalidParameter`, `Unsupported.Alias`, `Forbidden.AliasNotFound`, `Forbidden.KeyNotFound`, `Rejected.PendingDeletion` */
export async function updateAlias(
  context: OperationContext,
  request: AliasRequest,
): Promise<ResponseMetadata> {
  checkFields(request, ALIAS_FIELDS);
  const aliasName = readAliasName(request.aliasName);
  const keyId = readString(request.keyId, "keyId");
  await context.records.inTurn(async () => {
    const alias = existingAlias(context, aliasName);
    const key = resolveKey(context, keyId);
    stateAfter("UpdateAlias", key.status.state);
    await context.records.setAlias({ ...alias, keyId: key.keyId });
  });
  return { requestId: context.nextRequestId() };
}

export interface DeleteAliasRequest {
  readonly aliasName: string;
}

const DELETE_FIELDS = fields("aliasName");

/** @throws KmsError `MissingParameter`, `InvalidParameter`, `Unsupported.Alias`, `Forbidden.AliasNotFound` */
export async function deleteAlias(
  context: OperationContext,
  request: DeleteAliasRequest,
): Promise<ResponseMetadata> {
  checkFields(request, DELETE_FIELDS);
  const aliasName = readAliasName(request.aliasName);
  await context.records.inTurn(async () => {
    existingAlias(context, aliasName);
    await context.records.removeAlias(aliasName);
  });
  return { requestId: context.nextRequestId() };
}

/** Finds an alias; one of a key whose deletion is due is gone with it. */
function findAlias(context: OperationContext, aliasName: string): Alias | undefined {
  const alias = context.ring.findAlias(aliasName);
  return alias === undefined || isGone(context, alias) ? undefined : alias;
}

function isGone(context: OperationContext, { keyId }: Alias): boolean {
  const key = context.ring.findById(keyId);
  return key !== undefined && context.records.isGone(key);
}

function existingAlias(context: OperationContext, aliasName: string): Alias {
  const alias = findAlias(context, aliasName);
  if (alias === undefined) throw new KmsError("Forbidden.AliasNotFound", "aliasName names no alias here.");
  return alias;
}

export interface ListAliasesRequest extends PageRequest {
  /** Lists the aliases of this key only. */
  readonly keyId?: string | undefined;
}

export interface AliasMetadata {
  readonly aliasName: string;
  readonly aliasArn: string;
  readonly keyId: string;
}

export interface ListAliasesResponse extends ResponseMetadata, PageResponse {
  /** By name. */
  readonly aliases: readonly AliasMetadata[];
}

const LIST_FIELDS = fields("keyId", "pageNumber", "pageSize");

/** @throws KmsError `InvalidParameter`, `Forbidden.KeyNotFound` */
export function listAliases(
  context: OperationContext,
  request: ListAliasesRequest = {},
): ListAliasesResponse {
  checkFields(request, LIST_FIELDS);
  const keyId = readOptionalString(request.keyId, "keyId");
  const all =
    keyId === undefined ? context.ring.aliases() : context.ring.aliasesOf(resolveKey(context, keyId).keyId);
  const sorted = all
    .filter((alias) => !isGone(context, alias))
    .sort((a, b) => (a.aliasName < b.aliasName ? -1 : 1));
  const { page, paging } = pageOf(sorted, request);
  const aliases = page.map(({ aliasName, keyId: target }) => ({
    aliasName,
    aliasArn: aliasArn(context.scope, aliasName),
    keyId: target,
  }));
  return { aliases, ...paging, requestId: context.nextRequestId() };
}
