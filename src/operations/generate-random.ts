/** GenerateRandom: bytes of the platform's CSPRNG. */

import { randomBytes } from "../engines/random.ts";
import type { OperationContext, ResponseMetadata } from "./context.ts";
import { checkFields, fields, readInteger } from "./input.ts";

export interface GenerateRandomRequest {
  /** 1 to 1024 bytes. */
  readonly length: number;
}

export interface GenerateRandomResponse extends ResponseMetadata {
  readonly random: Uint8Array;
}

const FIELDS = fields("length");

/** @throws KmsError `MissingParameter`, `InvalidParameter` */
export function generateRandom(
  context: OperationContext,
  request: GenerateRandomRequest,
): GenerateRandomResponse {
  checkFields(request, FIELDS);
  const length = readInteger(request.length, "length", 1, 1024);
  return { random: randomBytes(length), requestId: context.nextRequestId() };
}
