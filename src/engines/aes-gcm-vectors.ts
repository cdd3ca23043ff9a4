/**
 * Known answers of AES-GCM for the self-test of every software engine. Keys, IV, plaintext and AAD are those of test
 * cases 4, 10 and 16 of "The Galois/Counter Mode of Operation" (McGrew and Viega), which SP 800-38D standardises.
 */

import { concatBytes, hexToBytes } from "../bytes.ts";
import type { AesGcm } from "./engine.ts";
import type { SelfTest } from "./self-test.ts";

/** One sealed message: a public key of 16, 24 or 32 bytes, its inputs, and ciphertext ‖ tag. */
export interface AesGcmKnownAnswer {
  readonly key: Uint8Array;
  readonly iv: Uint8Array;
  readonly aad: Uint8Array;
  readonly plaintext: Uint8Array;
  readonly sealed: Uint8Array;
}

/** Lists the known answers for AES-128, AES-192 and AES-256; built on call, so that importing costs nothing. */
export function aesGcmKnownAnswers(): readonly AesGcmKnownAnswer[] {
  const longestKey = hexToBytes("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308");
  const iv = hexToBytes("cafebabefacedbaddecaf888");
  const aad = hexToBytes("feedfacedeadbeeffeedfacedeadbeefabaddad2");
  const plaintext = hexToBytes(
    "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e24" +
      "49a6b525b16aedf5aa0de657ba637b39",
  );
  const sealed128 = hexToBytes(
    "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e21d514b25466931c7d8f6a5a" +
      "ac84aa051ba30b396a0aac973d58e0915bc94fbc3221a5db94fae95ae7121a47",
  );
  const sealed192 = hexToBytes(
    "3980ca0b3c00e841eb06fac4872a2757859e1ceaa6efd984628593b40ca1e19c7d773d00c144c525ac619d18" +
      "c84a3f4718e2448b2fe324d9ccda27102519498e80f1478f37ba55bd6d27618c",
  );
  const sealed256 = hexToBytes(
    "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b10" +
      "56828838c5f61e6393ba7a0abcc9f66276fc6ece0f4e1768cddf8853bb2d551b",
  );
  return [
    { key: longestKey.subarray(0, 16), iv, aad, plaintext, sealed: sealed128 },
    { key: longestKey.subarray(0, 24), iv, aad, plaintext, sealed: sealed192 },
    { key: longestKey, iv, aad, plaintext, sealed: sealed256 },
  ];
}

/**
 * Builds the self-test "aes-gcm": seals and opens every known answer, and expects a changed tag to be refused.
 *
 * @param aesGcm the primitive under test, reached without passing its own self-test guard
 * @param serves tells whether keys of a length in bytes are served; the answers of others are left out
 */
export function aesGcmSelfTest(
  aesGcm: Pick<AesGcm, "importKey" | "seal" | "open">,
  serves: (keyLength: number) => boolean = () => true,
): SelfTest {
  const answers = aesGcmKnownAnswers().filter(({ key }) => serves(key.length));
  return {
    name: "aes-gcm",
    compute: () => joinAnswers(answers.map((answer) => computeAnswer(aesGcm, answer))),
    expected: joinAnswers(answers.map((answer) => [answer.sealed, answer.plaintext, Uint8Array.of(1)])),
  };
}

/** Returns what the engine seals, what it opens, and 1 where it refuses the message with one tag bit changed. */
function computeAnswer(
  aesGcm: Pick<AesGcm, "importKey" | "seal" | "open">,
  answer: AesGcmKnownAnswer,
): Uint8Array[] {
  const key = aesGcm.importKey(answer.key);
  try {
    const sealed = aesGcm.seal(key, answer.iv, answer.plaintext, answer.aad);
    const opened = aesGcm.open(key, answer.iv, answer.sealed, answer.aad);
    const forged = Uint8Array.from(answer.sealed);
    forged[forged.length - 1] = (forged[forged.length - 1] ?? 0) ^ 0x80;
    const refused = aesGcm.open(key, answer.iv, forged, answer.aad) === undefined;
    return [sealed, opened ?? new Uint8Array(0), Uint8Array.of(refused ? 1 : 0)];
  } finally {
    key.destroy();
  }
}

function joinAnswers(answers: readonly (readonly Uint8Array[])[]): Uint8Array {
  return concatBytes(...answers.flat());
}
