/** Pages of the list calls: pageNumber from 1, pageSize 1 to 100, 20 if absent. */

import { readInteger } from "./input.ts";

export interface PageRequest {
  /** From 1; 1 if absent. */
  readonly pageNumber?: number | undefined;
  /** 1 to 100; 20 if absent. */
  readonly pageSize?: number | undefined;
}

export interface PageResponse {
  readonly totalCount: number;
  readonly pageNumber: number;
  readonly pageSize: number;
}

/** Cuts the requested page out of a list. @throws KmsError `InvalidParameter` */
export function pageOf<T>(
  items: readonly T[],
  request: PageRequest,
): { page: readonly T[]; paging: PageResponse } {
  const pageNumber = readInteger(request.pageNumber, "pageNumber", 1, Number.MAX_SAFE_INTEGER, 1);
  const pageSize = readInteger(request.pageSize, "pageSize", 1, 100, 20);
  const start = (pageNumber - 1) * pageSize;
  return {
    page: items.slice(start, start + pageSize),
    paging: { totalCount: items.length, pageNumber, pageSize },
  };
}
