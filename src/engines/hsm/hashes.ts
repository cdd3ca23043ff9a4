/** Numbers that records have for the hashes of PSS and OAEP; `HASH` of record.ts, by the names that engines use. */

export const HASH_CODE = {
  "SHA-1": 1,
  "SHA-256": 2,
  "SHA-384": 3,
  "SHA-512": 4,
} as const;
