/**
 * Where the taint check may take a secret for public, and why. A point is a run of instructions that computes one 32-bit
 * value, in the functions that some exports reach; the value is public from there on. A point whose instructions a build no longer has, or whose value is not
 * secret there, fails the check, so that none outlives its reason.
 */

export interface DeclassifyPoint {
  /** Instructions of the module in text form, `*` at an end for anything; the last one leaves the value. */
  readonly after: readonly string[];
  /** Exports; only these and what they call are looked at. */
  readonly within: readonly string[];
  /** How often these instructions occur in each build that has them. */
  readonly places: Readonly<Record<string, number>>;
  readonly reason: string;
}

/** Most points there may be, over all kernels. */
export const MOST_POINTS = 12;

export const DECLASSIFY_POINTS: readonly DeclassifyPoint[] = [
  {
    after: ["i32.const 1", "i32.sub", "i32.const 31", "i32.shr_u"],
    within: ["aesGcmOpen", "aesGcmVerify"],
    places: { base: 1, simd: 1, relaxed: 1 },
    reason:
      "equalBit over the tag of a message: whether it opened is public, in which byte the tag was wrong is not.",
  },
  {
    after: ["i64.or", "i64.const 63", "i64.shr_u", "i64.eqz"],
    within: ["aesGcmOpen", "aesGcmOpenBatch", "aesGcmOpenPacked"],
    places: { simd: 2, relaxed: 2 },
    reason: "zeroBit64 over the tag of a message, alone and in a batch: whether it opened is public.",
  },
  {
    after: ["i32.sub", "i32.or", "i32.const 31", "i32.shr_u"],
    within: ["aesKwUnwrap", "aesKwpUnwrap"],
    places: { base: 2, simd: 2, relaxed: 2 },
    reason:
      "zeroBit32 over the checks of AES-KW and AES-KWP: whether a key unwrapped is public, which of the checks failed is not.",
  },
  {
    after: [
      "i32.shr_u",
      "if *",
      "i32.const *",
      "i32.const 0",
      "local.get *",
      "memory.fill",
      "i32.const 0",
      "return",
      "end",
      "local.get *",
    ],
    within: ["aesKwpUnwrap"],
    places: { base: 1, simd: 1, relaxed: 1 },
    reason:
      "The length of the key that AES-KWP released: it comes out of the cipher, and the caller sees it once all checks held.",
  },
  {
    after: ["i64.add", "i64.or", "i64.const 1", "i64.xor", "i64.eqz"],
    within: ["ecdsaSign"],
    places: { "ecc-base": 2, "ecc-simd": 2, "ecc-relaxed": 2 },
    reason:
      "Whether a candidate for the nonce is in 1..n-1: one that is not is thrown away and tells nothing of the next (RFC 6979, 3.2.h).",
  },
  {
    after: ["br *", "end", "end", "i32.wrap_i64"],
    within: ["eccPublicKey"],
    places: { "ecc-base": 1, "ecc-simd": 1, "ecc-relaxed": 1 },
    reason:
      "Whether the bytes of a private key are in 1..n-1: the caller is told, and what is not is no key.",
  },
  {
    after: ["i64.or", "i64.const 63", "i64.shr_u", "i64.eqz"],
    within: [
      "rsaLoadPrivate",
      "rsaBlind",
      "rsaPrivate",
      "rsaDecodeOaep",
      "rsaTestCandidates",
      "rsaGenerateKeep",
      "rsaGenerateKey",
    ],
    places: { "rsa-base": 9, "rsa-simd": 9, "rsa-relaxed": 9 },
    reason:
      "zeroBit64 over a verdict: whether numbers are a key, a random number is zero modulo a prime, a number is below the modulus, a result passed its check, a message was decoded, a number may be prime, primes are far enough apart, d is long enough. The caller is told each of them, and none of the checks behind it.",
  },
  {
    after: ["i64.or", "i64.const 63", "i64.shr_u", "i32.wrap_i64"],
    within: ["rsaGenerateSieve"],
    places: { "rsa-base": 1, "rsa-simd": 1, "rsa-relaxed": 1 },
    reason:
      "Whether a candidate is thrown away for a small factor: nobody will use it, and it tells nothing of the next one.",
  },
  {
    after: ["i64.const 1", "i64.add", "local.get *", "i64.and", "i32.wrap_i64"],
    within: ["rsaDecodeOaep"],
    places: { "rsa-base": 1, "rsa-simd": 1, "rsa-relaxed": 1 },
    reason: "The length of the message that OAEP released: the caller sees it once all checks held.",
  },
];
