/** Opens inner steps of the kernels to tests, by address. Compiled for tests alone; never shipped. */

export { encryptFourBlocks } from "./aes-gcm/aes";
export { sliceBlocks, transpose, unsliceBlocks } from "./aes-gcm/bitslice";
export { absorbBlocks, prepareHashKey } from "./aes-gcm/ghash-ctmul";
export { expandKey } from "./aes-gcm/key-schedule";
export { subBytes } from "./aes-gcm/sbox-bitsliced";
export { equalBit } from "./ct";
