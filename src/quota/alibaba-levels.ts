/**
 * The performance levels that Alibaba Cloud KMS sells, as calls per second and operation class.
 * Source: "Performance data" of the vendor's documentation, 2025-02. Symmetric figures are for 32-byte data under
 * Aliyun_AES_256, asymmetric ones for RSA_2048 signatures.
 */

/** Operations that share one quota. */
export type OperationClass =
  | "symmetric"
  | "asymmetric"
  | "getPublicKey"
  | "generateRandom"
  | "generateDataKeyPair";

export interface QuotaLevel {
  readonly name: string;
  readonly perSecond: Readonly<Record<OperationClass, number>>;
}

const level = (name: string, symmetric: number, asymmetric: number): QuotaLevel => ({
  name,
  perSecond: {
    symmetric,
    asymmetric,
    getPublicKey: symmetric,
    generateRandom: symmetric,
    generateDataKeyPair: 1,
  },
});

/** Software-protected instances, smallest first. */
export const ALIBABA_SOFTWARE_LEVELS: readonly QuotaLevel[] = [
  level("software 1000", 1000, 200),
  level("software 2000", 2000, 300),
  level("software 4000", 4000, 500),
  level("software 10000", 10_000, 1300),
  level("software 20000", 20_000, 2500),
];

/** Returns the largest level that a rate fills, and how many times over; undefined below the smallest. */
export function levelFilled(
  operation: OperationClass,
  perSecond: number,
): { readonly level: QuotaLevel; readonly times: number } | undefined {
  const filled = ALIBABA_SOFTWARE_LEVELS.findLast((candidate) => perSecond >= candidate.perSecond[operation]);
  return filled === undefined ? undefined : { level: filled, times: perSecond / filled.perSecond[operation] };
}
