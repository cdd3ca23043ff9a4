/**
 * What the RSA module exports. The functions take slots and sizes, never addresses, and check both; all arguments and results
 * are public.
 */

import { wipe } from "../memory";
import { RSA_INPUT as INPUT, RSA_OUTPUT as OUTPUT, RSA_BLOCKS_LENGTH } from "./memory";
import { pairPrepare, pairWipe } from "./pair";

export {
  RSA_CANDIDATES,
  RSA_CANDIDATES_LENGTH,
  rsaGenerateBegin,
  rsaGenerateConfirm,
  rsaGenerateKeep,
  rsaGenerateKey,
  rsaGenerateSieve,
  rsaGenerateWaiting,
  rsaLoadPrimes,
  rsaTestCandidates,
  rsaWipeKeygen,
} from "./keygen";
export {
  RSA_INPUT,
  RSA_KEY_PARTS,
  RSA_OUTPUT,
  RSA_PRIVATE_COUNT,
  RSA_PUBLIC_COUNT,
  RSA_RANDOM,
} from "./memory";
export {
  RSA_DIGESTS,
  RSA_MESSAGE,
  rsaDecodeOaep,
  rsaEncodeOaep,
  rsaEncodePkcs1,
  rsaEncodePss,
  rsaVerifyPkcs1,
  rsaVerifyPss,
  rsaWipePadding,
} from "./padding";
export { rsaBlind, rsaDropPrivate, rsaLoadPrivate, rsaPrivate } from "./private";
export { rsaDropPublic, rsaLoadPublic, rsaPublic, rsaPublicPair } from "./public";

/** Which build this is: 0 for base, 1 for simd, 2 for relaxed. */
export const BUILD: u32 = ASC_FEATURE_RELAXED_SIMD ? 2 : ASC_FEATURE_SIMD ? 1 : 0;

/** Prepares the module and tells whether its arithmetic is sound on this machine: 1 or 0. To be called before anything else. */
export function rsaSelfTest(): u32 {
  const sound = pairPrepare();
  pairWipe();
  return sound;
}

/** Wipes what went in and came out. Time: constant. */
export function rsaWipeBlocks(): void {
  wipe(INPUT, RSA_BLOCKS_LENGTH);
  wipe(OUTPUT, RSA_BLOCKS_LENGTH);
}
