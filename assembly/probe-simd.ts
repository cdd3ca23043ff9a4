/** Opens inner steps of the vector kernels to tests, by address. Compiled for tests alone; never shipped. */

export { absorbStreams, hashEight, LANES, STARTS } from "./aes-gcm/gcm-bulk";
export {
  absorb,
  loadBulkOf,
  loadKey,
  makeKeystream,
  openMessage,
  sealMessage,
  useKey,
} from "./aes-gcm/gcm-simd";
export {
  encryptBlocks32,
  expandKeyBitsliced,
  subPlanes,
  transposePlanes,
} from "./aes-gcm/generated/aes-bitsliced";
export {
  encryptBlocks4,
  encryptBlocks16,
  encryptCounters4,
  substituteWord,
} from "./aes-gcm/generated/aes-permute";
export { absorbLanes, buildLaneTable, layOutLanes } from "./aes-gcm/generated/ghash-karatsuba";
export { absorbUpToEight, buildPowerTable } from "./aes-gcm/generated/ghash-permute";
export { absorbBlocks, prepareHashKey } from "./aes-gcm/ghash-ctmul";
export { expandKeyPermute } from "./aes-gcm/key-schedule-permute";
