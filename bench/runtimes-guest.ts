/** What is timed inside a runtime: the package against WebCrypto and @noble, and its kernels alone. Answers in nanoseconds a call. */

import { gcm } from "@noble/ciphers/aes.js";
import { p256 } from "@noble/curves/nist.js";
import { secp256k1 } from "@noble/curves/secp256k1.js";
import { loadEngine } from "keyplane/engine";
import { type Contender, quartile, sample } from "./interleave.ts";

/** Payload sizes in bytes. */
const SIZES: readonly number[] = [32, 256, 1024, 2048, 3072, 4096, 16_384, 65_536];
const KEY = Uint8Array.from({ length: 32 }, (_, i) => i + 1);
const IV = new Uint8Array(12).fill(7);
const AAD = new Uint8Array(40).fill(3);
/** Clocks of browsers tick in tenths of a millisecond and more. */
const SLICE_MS = 8;
const ROUNDS = 25;
const KERNEL_ROUNDS = 60;
const KERNEL_SLICE_MS = 4;

/** Name of the work, contender, nanoseconds a call; and what the page's browser calls itself. */
export interface Comparison {
  readonly userAgent: string;
  readonly times: Readonly<Record<string, Readonly<Record<string, number>>>>;
}

/** Nanoseconds a call, by the name of the kernel. */
export type Kernels = Readonly<Record<string, number>>;

/** Which build runs: the one with SIMD, which all runtimes have, or the best that this one has. */
export type BuildChoice = "same" | "best";

export interface Guest {
  /** Times contenders in turn, by the lower quartile of their calls. */
  compare(): Promise<Comparison>;
  /** Times each kernel alone, by its quickest slice, which nobody else's work lengthened. */
  kernels(build: BuildChoice): Promise<Kernels>;
  /** Calls a kernel so often, for hosts that time it with a clock of their own. */
  call(build: BuildChoice, kernel: string, times: number): Promise<void>;
}

async function primitives(build: BuildChoice = "best") {
  const { aesGcm, ecdsa, hash } = await loadEngine("wasm", {
    relaxedSimd: build === "same" ? "off" : "auto",
  });
  if (aesGcm === undefined || ecdsa === undefined || hash === undefined) {
    throw new Error("the wasm engine lacks a primitive");
  }
  return { aesGcm, ecdsa, hash };
}

async function compare(): Promise<Comparison> {
  const times: Record<string, Record<string, number>> = {};
  const keep = async (name: string, contenders: readonly Contender[]): Promise<void> => {
    const samples = await sample(contenders, ROUNDS, undefined, SLICE_MS);
    times[name] = Object.fromEntries([...samples].map(([each, values]) => [each, quartile(values)]));
  };
  const { aesGcm, ecdsa } = await primitives();
  const key = aesGcm.importKey(KEY);
  const cryptoKey = await crypto.subtle.importKey("raw", KEY, "AES-GCM", false, ["encrypt"]);
  const parameters = { name: "AES-GCM", iv: IV, additionalData: AAD };
  for (const size of SIZES) {
    const plaintext = new Uint8Array(size).fill(5);
    await keep(`seal ${size}`, [
      { name: "wasm", run: () => aesGcm.seal(key, IV, plaintext, AAD) },
      { name: "webcrypto", run: () => crypto.subtle.encrypt(parameters, cryptoKey, plaintext) },
      { name: "noble", run: () => gcm(KEY, IV, AAD).encrypt(plaintext) },
    ]);
  }
  const digest = new Uint8Array(32).fill(9);
  for (const [curve, noble] of [
    ["P-256", p256],
    ["secp256k1", secp256k1],
  ] as const) {
    const privateKey = ecdsa.importPrivateKey(curve, KEY);
    await keep(`sign ${curve}`, [
      { name: "wasm", run: () => ecdsa.sign(privateKey, digest, { format: "p1363" }) },
      { name: "noble", run: () => noble.sign(digest, KEY, { prehash: false }) },
    ]);
  }
  return { userAgent: navigator.userAgent, times };
}

async function contenders(build: BuildChoice): Promise<Contender[]> {
  const { aesGcm, ecdsa, hash } = await primitives(build);
  const key = aesGcm.importKey(KEY);
  const signer = ecdsa.importPrivateKey("P-256", KEY);
  const message = new Uint8Array(16_384).fill(1);
  const digest = message.subarray(0, 32);
  return [
    { name: "aes-gcm", run: () => aesGcm.seal(key, IV, message, AAD) },
    { name: "sha-256", run: () => hash("SHA-256", message) },
    { name: "ecdsa", run: () => ecdsa.sign(signer, digest, { format: "p1363" }) },
  ];
}

async function kernels(build: BuildChoice): Promise<Kernels> {
  const samples = await sample(await contenders(build), KERNEL_ROUNDS, undefined, KERNEL_SLICE_MS);
  return Object.fromEntries([...samples].map(([name, values]) => [name, Math.min(...values)]));
}

async function call(build: BuildChoice, kernel: string, times: number): Promise<void> {
  const contender = (await contenders(build)).find(({ name }) => name === kernel);
  if (contender === undefined) throw new Error(`there is no kernel ${kernel}`);
  for (let i = 0; i < times; i++) contender.run();
}

export const keyplaneFigures: Guest = { compare, kernels, call };
Object.assign(globalThis, { keyplaneFigures });
