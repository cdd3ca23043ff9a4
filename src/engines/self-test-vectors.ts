/**
 * Known answers of the self-tests but AES-GCM's, shared by the engines. The keys are published test values and guard nothing.
 * Lower-case hex: unlike live keys, these may be strings.
 */

import type { CurveName, HashName } from "./engine.ts";

/** Fields of one known answer, in hex. */
type Answer<Field extends string> = Readonly<Record<Field, string>>;

/** Decodes an answer. */
export function fromHex(hex: string): Uint8Array {
  const bytes = new Uint8Array(hex.length / 2);
  for (let i = 0; i < bytes.length; i++) bytes[i] = Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16);
  return bytes;
}

/** The order in which `HASH_ANSWER` and `HMAC_ANSWER` lay their results end to end. */
export const SELF_TEST_HASHES: readonly HashName[] = ["SHA-1", "SHA-256", "SHA-384", "SHA-512"];

/** FIPS 180, the one-block message "abc". */
export const HASH_ANSWER: Answer<"message" | "digests"> = {
  message: "616263",
  digests: [
    "a9993e364706816aba3e25717850c26c9cd0d89dba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61",
    "f20015adcb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca1",
    "34c825a7ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23",
    "a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
  ].join(""),
};

/** RFC 2202 and RFC 4231, test case 1. */
export const HMAC_ANSWER: Answer<"key" | "message" | "macs"> = {
  key: "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b",
  message: "4869205468657265",
  macs: [
    "b617318655057264e28bc0b6fb378c8ef146be00b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c",
    "2e32cff7afd03944d84895626b0825f4ab46907f15f9dadbe4101ec682aa034c7cebc59cfaea9ea9076ede7f4af152e8",
    "b2fa9cb687aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cdedaa833b7d6b8a702038b274e",
    "aea3f4e4be9d914eeb61f1702e696c203a126854",
  ].join(""),
};

/** RFC 5869, A.1. */
export const HKDF_ANSWER: Answer<"ikm" | "salt" | "info" | "okm"> = {
  ikm: "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b",
  salt: "000102030405060708090a0b0c",
  info: "f0f1f2f3f4f5f6f7f8f9",
  okm: "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
};

/** RFC 3394, 4.6. */
export const AES_KW_ANSWER: Answer<"kek" | "key" | "wrapped"> = {
  kek: "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
  key: "00112233445566778899aabbccddeeff000102030405060708090a0b0c0d0e0f",
  wrapped: "28c9f404c4b810f4cbccb35cfb87f8263f5786e2d80ed326cbc7f0e71a99f43bfb988b9b7a02dd21",
};

/** RFC 5649, 6, the 20-byte key. */
export const AES_KWP_ANSWER: Answer<"kek" | "key" | "wrapped"> = {
  kek: "5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8",
  key: "c37b7e6492584340bed12207808941155068f738",
  wrapped: "138bdeaa9b8fa7fc61f97742e72248ee5ae6ae5360d1ae6a5f54f373fa543b6a",
};

/** SHA-256 signatures as r ‖ s; the key and message of RFC 6979, A.2.5, on both curves. */
export const ECDSA_ANSWERS: Readonly<
  Record<CurveName, Answer<"scalar" | "point" | "message" | "signature">>
> = {
  "P-256": {
    scalar: "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721",
    point: [
      "0460fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb67903fe1008b8bc99a41ae9e95628bc",
      "64f2f1b20c2d7e9f5177a3c294d4462299",
    ].join(""),
    message: "73616d706c65",
    signature: [
      "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716f7cb1c942d657c41d436c7a1b6e29f65",
      "f3e900dbb9aff4064dc4ab2f843acda8",
    ].join(""),
  },
  secp256k1: {
    scalar: "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721",
    point: [
      "042c8c31fc9f990c6b55e3865a184a4ce50e09481f2eaeb3e60ec1cea13a6ae64564b95e4fdb6948c0386e189b006a29",
      "f686769b011704275e4459822dc3328085",
    ].join(""),
    message: "73616d706c65",
    signature: [
      "432310e32cb80eb6503a26ce83cc165c783b870845fb8aad6d970889fcd7a6c8530128b6b81c548874a6305d93ed071c",
      "a6e05074d85863d4056ce89b02bfab69",
    ].join(""),
  },
};

/** The scalars above with another party's point; `shared` is the x coordinate. */
export const ECDH_ANSWERS: Readonly<Record<CurveName, Answer<"scalar" | "peer" | "shared">>> = {
  "P-256": {
    scalar: "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721",
    peer: [
      "044e2fba8ca87149a1a7db43fdf9fed6fc232bdce6ba3d8a24733b76e678ed86416cbcfc6dd0ae536a9cdbee071cfd7a",
      "c5926611c8aaab7fb1e1f7525ca7280e83",
    ].join(""),
    shared: "7dccf0b18ca4d8958f3b68c1a1a14d2ba264aba2a639537b2c1e6b3a0326f213",
  },
  secp256k1: {
    scalar: "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721",
    peer: [
      "046333781b92c9a99a52df385e77526bab56603f3102f67995e7bbbe3d1fa34afcf7dd12e47a38b62f651f6206bf3d6c",
      "6235a07524b8151693e11e61ed1e84f3e2",
    ].join(""),
    shared: "54b7724a1253580fafaf837a0a7cc073c09c8d44aa7f884eafb87dae04252f0a",
  },
};

/** A 2048-bit key; SHA-256 throughout, PSS with a 32-byte salt, OAEP with a label. */
export const RSA_ANSWER: Answer<
  "pkcs8" | "message" | "pkcs1" | "pss" | "oaepPlaintext" | "oaepLabel" | "oaep"
> = {
  pkcs8: [
    "308204ba020100300d06092a864886f70d0101010500048204a4308204a0020100028201010088de762b0f3d6e827110",
    "964f5dacd3af11af7ae5ca9abee9d6eab5963352ca647ee612678d40af1b740ab8daeeccf0f658a98f744bee0daef7d1",
    "01c08a3b1f71caeefede9707067e460f124482d8a104ed2179dbd9bedcd4580da7da8b0cf107afe4800947b405cf4331",
    "43fca903c55402eff72884addbfdadfc8c6a69bd0630527d095b8435d16e61cb1d1bbc81a2b5f803ead6c4ff00faa840",
    "6c972d2c59b43c42f0a0a5e1b4868abe60217aea09aab99622dd4dbdbea28367a6920ed14c2f8c00972ca29b0eddba7b",
    "2b73ebfeb42077d09b49a84de06f81dc9925a80c9d830a9fb1e67f12851201c3741e23b7659650e7de6d9fd75f417c46",
    "d9c40b6be8bb020301000102820100341f2fb60f2c3050e978cd1cf549f32528e18036513523fe0e13bcca31ca55fbf6",
    "5d6c65d5e36babd341a00af3c4c500b35c031ee1298b3975f338ad1797134ef4de95ddb37affec878686c8e36156d476",
    "ef782612a27e1b395b1df07a6297c97b20d3e774d06823f96d21fc6e6adab337192630de720d246aa511de165d5f24ea",
    "2ec49362a50b2582129ae6026f520955b90b15980ff955063e2781a42e0bb8390f9b6dc5531ece12e86db8a04ad1c65a",
    "93b48badc41084f13d65d348db1e637944d7f567482172d12f95c9840b956bf558528d1bb3da03e881aca23606300ccf",
    "3e9ac5898e698c37e1eced82995cae4a511d51ae59337c07cf3e49a47a517502818100c02ad86e39587c233439f1816d",
    "e1ec5aa34071ea4e3914798d5c7f534b4233bb7e47b09e83887ad26c0efb9f7242c853a5b023a5145b6a33dc3461cf32",
    "3a30cdaa88267d4ae18cc384e3c746e79e94a902748beac6c0adfe30ec1a34c1cd3a714996c079278827e36e2757b34e",
    "5bad474aa8bfda7d05fb0f68a7a997c71061a502818100b65542b4e510bc3f3dc08cbab10a6525a419d8dadef65d9cf4",
    "05e83b19a6d1cd2e57d96248e848d8c1daf462220e7312518a364ef241ac1e2cfd5ad6a42b93636700f04e312804fce1",
    "c762da02afe685a448d562d3dbb87aa2841804e11822da49ff8d5e96a11e7a151294cb4c9a30a46ae75d9bda6581602a",
    "5978f5fb6052df0281803792ec7e8bf50c097e4c178ccfc35b8026e037518487bb651fbd9550f85dcfea342df5651233",
    "011a2387fdbaf1e76059d87be50313ad103ca93d38e01bed7a39b04ca99ce86fec2e8b1af88187f0739ba10b257fa335",
    "0bdc8c376ba8c03762e46a5cbf930a1cb5346fa1cf1a1ada26758ca0dac30c0f13b93411f0d8e507d6c502818014a570",
    "e944eaf136040b12a46d39ad1c67099a39a677a540098dc5af33876548639005089112e474cef6b927878db55004b5ae",
    "d29fb1fa086cb5bf9c807882b705c9e06c2a3acaddcbbf251d64a2806aefa063b14e261a2ca0cc6e5fd7114199103a04",
    "cb0a297267068dd51574361d7df0b104338ab665c0faeaa8bcc9db2d67027f07a52c98a7d5332fb24665c947b1a1cb4d",
    "b054e627ae4cade7616da1cd40867c990a71cfa44b034d0593b543e36ac3c9aceed6f7d88e9c2b04d162a49a62cb3971",
    "89777fffe80e8aa9cce3924a493e27d5b831cba22b585d1ba7e2cee43d68bcffad97ae7124165371edf5b7f114e60215",
    "2cb742829a25c7ae193a2222598d",
  ].join(""),
  message: "73616d706c65",
  pkcs1: [
    "2eddd1ceb30fa8984cde8cb4f9a0f056c2ad112bf8ebad723950d9e19ad6ca3fdfc32d72e536a463f8059e6c12ac3e7c",
    "f8c18b3ec84a1847d946f925a94cfa7cdd2c4467ed3b9f865984e6999be397ab70694e6552c0536306eebf0f837af942",
    "3abd0f42c745a4352d7aefa82ca76d87bdef3fa29b0ec0ed00ca0c62cb5c6e652b8bce404fc7d0e95c51acf42eb4d60b",
    "315bd322f2ead675e80ce19c267aef64422894f3301581e98a9031cc59ef46e5aed50f2cbe4f822b54d3ced1c06133f3",
    "97798cecedea4a83fbe28f426f6570d88fc1ab227bfce2a766b7ccd57ddd7fc1db857839e3f163f9779f974447713343",
    "6c2ec6260bfa9482a3b5658dc8251f69",
  ].join(""),
  pss: [
    "4fa423706185bf4908ab50b3449bbff065163a4513cc631998004d0d8ebf955951b84a004b1678cfe9f46a1fcde423c4",
    "44590068ca275c67531f38a56758601d446d8c344231dcfb8e9403d3cc84f87de930536428ba935de6fb3a436f969b6c",
    "87f2adf2462ed96a79931bab35fb13b217745c71cdc1baac011af2419452a501c626d3fedf5976ce3aeb20164d793286",
    "179e26546a35c9780e9f7e3512af6c39fb3b833e6734f74d85545c3383385b37cc68255d6ca435985930ba4dbe87bc47",
    "dba058e4cf7b377d708c8a52659f733cd9c213cbfb980842a24b5bad2e313e7e757f48fd12d66675be283ee7911a15c8",
    "4fd2896159fad2cb7f1ede0c147ea9b4",
  ].join(""),
  oaepPlaintext: "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
  oaepLabel: "6c6162656c",
  oaep: [
    "41e2e2b616b5ece44752a3bd2caac98547008b132e96b577a4264673f9231ffd49f2fc5c2be2fe1c30d5a313627888dd",
    "0dcd407b5ab196583e3c4e3fb9ba388c4e0233c1a397ecd08fda53d487541310246d96d31d43f97da607496640d8b776",
    "651692fb83393bc8c8ddb80ee40ef216a0225a69343f19bcc4d6334d96ddc04c79a8c49a774f822d989d7b112e73bd40",
    "45031bb21cc5620ed463390e9fdfb0f8b1c541a902027f84c38af3956e4f169f0833aa7bd6bdc79d94069cf446848519",
    "422d7df5739285f504f5111664cea9eb25f968f47fc5a86ac05d081357408727ff66c98cb3bafc5421d3732aaeb70415",
    "afc0cdd361e5ddea00b5bc0d4e112a03",
  ].join(""),
};
