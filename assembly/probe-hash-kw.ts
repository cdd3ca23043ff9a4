/** Opens inner steps of the hash and key wrap kernels to tests, by address. Compiled for tests alone; never shipped. */

export { encryptFourBlocks } from "./aes-gcm/aes";
export { transpose } from "./aes-gcm/bitslice";
export { expandKey } from "./aes-gcm/key-schedule";
export { decryptFourBlocks } from "./aes-kw/aes-inverse";
export { inverseSubBytes } from "./aes-kw/sbox-inverse";
export { lessMask32, zeroBit32 } from "./ct";
export { hashFinal, hashInit, hashUpdate } from "./hash/hash";
export { hmacFinal, hmacInit, hmacStart, hmacUpdate } from "./hash/hmac";
export { sha1Compress } from "./hash/sha1";
export { sha256Compress } from "./hash/sha256";
export { sha512Compress } from "./hash/sha512";
