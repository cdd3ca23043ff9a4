/** Exports the inner steps of the RSA kernels to tests; never part of a build that ships. */

export {
  natAdd,
  natAddSmall,
  natDivide,
  natEqualMask,
  natFromBytes,
  natGcd,
  natInverseSmall,
  natLessMask,
  natMultiply,
  natResidue,
  natResidueZero,
  natSelect,
  natShiftRight,
  natSubtract,
  natSubtractSmall,
  natToBytes,
  natZeroMask,
} from "./int/nat";
export { PAIR_CONTEXT_LENGTH, PAIR_LENGTH } from "./rsa/memory";
export {
  pairAdd,
  pairEnter,
  pairEnterLong,
  pairGet,
  pairJoin,
  pairLeave,
  pairLoad,
  pairMultiply,
  pairOne,
  pairPower,
  pairPowerPublic,
  pairPrepare,
  pairSet,
  pairSquare,
  pairWipe,
} from "./rsa/pair";
