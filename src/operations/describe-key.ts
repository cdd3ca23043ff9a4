/** DescribeKey, ListKeys, ListKeyVersions and DescribeKeyVersion: what there is, allowed in every state. */

import { KmsError } from "../errors.ts";
import { keyArn } from "../keys/key-id.ts";
import { type OperationContext, type ResponseMetadata, resolveKey } from "./context.ts";
import { checkFields, type Fields, fields, readString } from "./input.ts";
import {
  type KeyMetadata,
  type KeyVersionMetadata,
  keyMetadata,
  keyVersionMetadata,
} from "./key-metadata.ts";
import { type PageRequest, type PageResponse, pageOf } from "./paging.ts";

/** Names a key and nothing else. */
export interface KeyIdRequest {
  /** A key id, an alias or an ARN. */
  readonly keyId: string;
}

export const KEY_ID_FIELDS: Fields = fields("keyId");

export interface DescribeKeyResponse extends ResponseMetadata {
  readonly keyMetadata: KeyMetadata;
}

/** @throws KmsError `MissingParameter`, `InvalidParameter`, `Forbidden.KeyNotFound`, `Rejected.RecordCorrupt` */
export function describeKey(context: OperationContext, request: KeyIdRequest): DescribeKeyResponse {
  checkFields(request, KEY_ID_FIELDS);
  const key = resolveKey(context, readString(request.keyId, "keyId"));
  return { keyMetadata: keyMetadata(context, key), requestId: context.nextRequestId() };
}

export interface ListKeysRequest extends PageRequest {}

export interface ListKeysResponse extends ResponseMetadata, PageResponse {
  /** Oldest first. */
  readonly keys: readonly { readonly keyId: string; readonly keyArn: string }[];
}

const PAGE_FIELDS = fields("pageNumber", "pageSize");

/** Lists every key in the store, those with refused records included. @throws KmsError `InvalidParameter` */
export function listKeys(context: OperationContext, request: ListKeysRequest = {}): ListKeysResponse {
  checkFields(request, PAGE_FIELDS);
  const sound = context.ring.keys().filter((key) => !context.records.isGone(key));
  const keyIds = [...sound.map((key) => key.keyId), ...context.ring.corruptKeys()];
  const { page, paging } = pageOf(keyIds, request);
  const keys = page.map((keyId) => ({ keyId, keyArn: keyArn(context.scope, keyId) }));
  return { keys, ...paging, requestId: context.nextRequestId() };
}

export interface ListKeyVersionsRequest extends KeyIdRequest, PageRequest {}

export interface ListKeyVersionsResponse extends ResponseMetadata, PageResponse {
  /** Oldest first. */
  readonly keyVersions: readonly KeyVersionMetadata[];
}

const LIST_VERSIONS_FIELDS = fields("keyId", "pageNumber", "pageSize");

/** @throws KmsError `MissingParameter`, `InvalidParameter`, `Forbidden.KeyNotFound` */
export function listKeyVersions(
  context: OperationContext,
  request: ListKeyVersionsRequest,
): ListKeyVersionsResponse {
  checkFields(request, LIST_VERSIONS_FIELDS);
  const key = resolveKey(context, readString(request.keyId, "keyId"));
  const { page, paging } = pageOf(key.versions, request);
  const keyVersions = page.map((version) => keyVersionMetadata(version, false));
  return { keyVersions, ...paging, requestId: context.nextRequestId() };
}

export interface DescribeKeyVersionRequest extends KeyIdRequest {
  readonly keyVersionId: string;
}

export interface DescribeKeyVersionResponse extends ResponseMetadata {
  readonly keyVersion: KeyVersionMetadata;
}

const DESCRIBE_VERSION_FIELDS = fields("keyId", "keyVersionId");

/** @throws KmsError `MissingParameter`, `InvalidParameter`, `Forbidden.KeyNotFound`, `Forbidden.KeyVersionNotFound` */
export function describeKeyVersion(
  context: OperationContext,
  request: DescribeKeyVersionRequest,
): DescribeKeyVersionResponse {
  checkFields(request, DESCRIBE_VERSION_FIELDS);
  const keyVersionId = readString(request.keyVersionId, "keyVersionId");
  const key = resolveKey(context, readString(request.keyId, "keyId"));
  const version = key.versions.find((candidate) => candidate.keyVersionId === keyVersionId);
  if (version === undefined)
    throw new KmsError("Forbidden.KeyVersionNotFound", "keyVersionId names no version of this key.");
  return { keyVersion: keyVersionMetadata(version, true), requestId: context.nextRequestId() };
}
