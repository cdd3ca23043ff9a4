/** How many times quicker than others does the wasm engine seal and open with AES-GCM, and where do others overtake it? */

import { randomBytes } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import type { AesGcm } from "../src/engines/engine.ts";
import { createWasmEngine } from "../src/engines/wasm/inlined.ts";
import { loadPeers, type Peers } from "./aes-gcm-peers.ts";
import { compileAesGcm, measureGhash } from "./aes-gcm-wasm.ts";
import { type Contender, quartile, ratio, type Samples, sample } from "./interleave.ts";

type Build = "simd" | "relaxed";

/** A ratio, size or time with what is demanded of it; `judged` rows decide the exit status. */
interface Row {
  readonly gate: string;
  readonly build: Build;
  readonly value: number;
  readonly unit: "x" | "B" | "ms";
  readonly demand: number;
  readonly atMost: boolean;
  readonly judged: boolean;
}

const MAJOR = Number(process.versions.node.split(".")[0]);
/** The plain build is judged on Node 20, the relaxed one from Node 24 on. */
const JUDGED: Readonly<Record<Build, boolean>> = { simd: MAJOR === 20, relaxed: MAJOR >= 24 };
const OVERTAKE_SIZES: readonly number[] = [512, 640, 768, 896, 1024, 1152, 1280, 1536, 1792, 2048, 2560];
const BATCH = 64;
const REPORT = "build/bench-aes-gcm.json";

const rows: Row[] = [];

function add(build: Build, gate: string, value: number, demand: number, unit: Row["unit"] = "x"): void {
  rows.push({ gate, build, value, unit, demand, atMost: unit === "ms", judged: JUDGED[build] });
}

function isMet({ value, demand, atMost }: Row): boolean {
  return atMost ? value <= demand : value >= demand;
}

const key: Uint8Array = new Uint8Array(randomBytes(32));
const iv: Uint8Array = new Uint8Array(randomBytes(12));
const aad: Uint8Array = new Uint8Array(randomBytes(64));

interface Candidate {
  readonly build: Build;
  readonly aesGcm: AesGcm;
}

/** Loads an engine of a build; undefined where this runtime does not have it. */
function candidate(build: Build): Candidate | undefined {
  try {
    const { aesGcm } = createWasmEngine({ build, relaxedSimd: "force" });
    return aesGcm && { build, aesGcm };
  } catch {
    return undefined;
  }
}

export async function run(): Promise<boolean> {
  const firstSeal = measureFirstSeal();
  const peers = await loadPeers(key);
  const candidates = [candidate("simd"), candidate("relaxed")].filter((each) => each !== undefined);
  await measureWraps(candidates, peers);
  await measureSizes(candidates, peers);
  await measureOvertaking(candidates, peers);
  for (const { build } of candidates) {
    add(build, "GHASH against ctmul64 in the same module", await measureGhash(build), 4);
    const wasm = await compileAesGcm(build);
    add(build, "AES-GCM part of the wasm, 36 KB over its size", 36_864 / wasm.length, 1);
    add(build, "the same, gzip, 11 KB over its size", 11_264 / gzipSync(wasm, { level: 9 }).length, 1);
  }
  console.log(`loading the ${firstSeal.build} build took ${firstSeal.loadMilliseconds.toFixed(1)} ms`);
  add(firstSeal.build, "first key and seal after loading", firstSeal.milliseconds, 2, "ms");
  return report();
}

/** Times loading the best build, and then the first import and seal of this process. */
function measureFirstSeal(): { build: Build; loadMilliseconds: number; milliseconds: number } {
  const started = performance.now();
  const { build, aesGcm } = createWasmEngine();
  const loaded = performance.now();
  aesGcm?.seal(aesGcm.importKey(key), iv, new Uint8Array(32), aad);
  return {
    build: build as Build,
    loadMilliseconds: loaded - started,
    milliseconds: performance.now() - loaded,
  };
}

/** 32 bytes under 64 bytes of AAD: single calls, batches, packed records. */
async function measureWraps(candidates: readonly Candidate[], peers: Peers): Promise<void> {
  const plaintext = new Uint8Array(randomBytes(32));
  const records = new Uint8Array(randomBytes(BATCH * (12 + 64 + 32)));
  const items = Array.from({ length: BATCH }, () => ({
    iv: new Uint8Array(randomBytes(12)),
    plaintext,
    aad,
  }));
  const shape = { count: BATCH, aadLength: 64, plaintextLength: 32 };
  const out = new Uint8Array(BATCH * 48);
  const contenders: Contender[] = [
    { name: "node", run: () => peers["node:crypto"](iv, plaintext, aad) },
    { name: "noble", run: () => peers["@noble/ciphers"](iv, plaintext, aad) },
    { name: "stablelib", run: () => peers["@stablelib/gcm"](iv, plaintext, aad) },
    { name: "sjcl", run: () => peers.sjcl(iv, plaintext, aad) },
  ];
  for (const { build, aesGcm } of candidates) {
    const handle = aesGcm.importKey(key);
    const sealed = aesGcm.seal(handle, iv, plaintext, aad);
    contenders.push(
      { name: `seal ${build}`, run: () => aesGcm.seal(handle, iv, plaintext, aad) },
      { name: `open ${build}`, run: () => aesGcm.open(handle, iv, sealed, aad) },
      { name: `packed ${build}`, run: () => aesGcm.sealPacked(handle, records, shape, out) },
      { name: `batch ${build}`, run: () => aesGcm.sealBatch(handle, items) },
    );
    if (!contenders.some(({ name }) => name === "node open")) {
      contenders.push({ name: "node open", run: () => peers["node:crypto open"](iv, sealed, aad) });
    }
  }
  const samples = await sample(contenders);
  print(samples);
  for (const { build } of candidates) {
    const relaxed = build === "relaxed";
    const wrap = "32 B + 64 B AAD";
    add(
      build,
      `${wrap}, seal against node:crypto`,
      ratio(samples, "node", `seal ${build}`),
      relaxed ? 7.5 : 5,
    );
    add(
      build,
      `${wrap}, open against node:crypto`,
      ratio(samples, "node open", `open ${build}`),
      relaxed ? 7.5 : 5,
    );
    const perMessage = (name: string): number => BATCH * ratio(samples, "node", `${name} ${build}`);
    add(build, `64 wraps packed, a message against node:crypto`, perMessage("packed"), relaxed ? 13 : 7);
    add(build, `64 wraps in a batch, a message against node:crypto`, perMessage("batch"), relaxed ? 11 : 6.5);
    add(build, `${wrap} against @noble/ciphers`, ratio(samples, "noble", `seal ${build}`), 30);
    add(build, `${wrap} against @stablelib/gcm`, ratio(samples, "stablelib", `seal ${build}`), 8);
    add(build, `${wrap} against sjcl`, ratio(samples, "sjcl", `seal ${build}`), 18);
  }
}

/** 256 B and 1 KiB into a buffer against node:crypto, 64 KiB against all. */
async function measureSizes(candidates: readonly Candidate[], peers: Peers): Promise<void> {
  const sizes = [256, 1024, 65_536];
  const contenders = sizes.flatMap((size) => {
    const plaintext = new Uint8Array(randomBytes(size));
    const out = new Uint8Array(size + 16);
    return [
      { name: `node ${size}`, run: () => peers["node:crypto"](iv, plaintext, aad) },
      ...candidates.map(({ build, aesGcm }) => {
        const handle = aesGcm.importKey(key);
        return {
          name: `${build} ${size}`,
          run: () => aesGcm.sealInto(handle, iv, plaintext, aad, out, 0),
        };
      }),
    ];
  });
  const bulk = new Uint8Array(randomBytes(65_536));
  contenders.push(
    { name: "noble 65536", run: () => peers["@noble/ciphers"](iv, bulk, aad) },
    { name: "rust 65536", run: () => peers["@transcend-io (Rust wasm)"](iv, bulk, aad) },
  );
  const samples = await sample(contenders);
  print(samples);
  for (const { build } of candidates) {
    const relaxed = build === "relaxed";
    const against = (peer: string, size: number): number =>
      ratio(samples, `${peer} ${size}`, `${build} ${size}`);
    add(build, "256 B into a buffer against node:crypto", against("node", 256), relaxed ? 2.4 : 1.7);
    add(build, "1 KiB into a buffer against node:crypto", against("node", 1024), relaxed ? 1.15 : 0.9);
    add(build, "64 KiB against @transcend-io (Rust wasm)", against("rust", 65_536), 6);
    add(build, "64 KiB against @noble/ciphers", against("noble", 65_536), 7);
    const share = MAJOR < 24 ? 0.1 : relaxed ? 0.09 : 0.07;
    add(build, "64 KiB against node:crypto", against("node", 65_536), share);
  }
}

/** Up to which size writing into a buffer is quicker than node:crypto, between two measured sizes by interpolation. */
async function measureOvertaking(candidates: readonly Candidate[], peers: Peers): Promise<void> {
  const contenders: Contender[] = [];
  for (const size of OVERTAKE_SIZES) {
    const plaintext = new Uint8Array(randomBytes(size));
    const out = new Uint8Array(size + 16);
    contenders.push({ name: `node ${size}`, run: () => peers["node:crypto"](iv, plaintext, aad) });
    for (const { build, aesGcm } of candidates) {
      const handle = aesGcm.importKey(key);
      const seal = (): number => aesGcm.sealInto(handle, iv, plaintext, aad, out, 0);
      contenders.push({ name: `${build} ${size}`, run: seal });
    }
  }
  const samples = await sample(contenders, 24);
  for (const { build } of candidates) {
    let size = 0;
    let lead = Number.POSITIVE_INFINITY;
    for (const next of OVERTAKE_SIZES) {
      const nextLead = ratio(samples, `node ${next}`, `${build} ${next}`);
      if (nextLead < 1) {
        if (size > 0) size += ((lead - 1) / (lead - nextLead)) * (next - size);
        break;
      }
      size = next;
      lead = nextLead;
    }
    add(build, "size where node:crypto overtakes", size, build === "relaxed" ? 1228 : 896, "B");
  }
}

function print(samples: Samples): void {
  for (const [name, times] of samples) {
    console.log(`${name.padEnd(24)}${quartile(times).toFixed(0).padStart(10)} ns (p25)`);
  }
  console.log("");
}

/** Prints the table, writes it as JSON, and answers whether all judged rows meet their demands. */
function report(): boolean {
  console.log(
    `${"gate".padEnd(54)}${"build".padEnd(9)}${"value".padStart(10)}${"demand".padStart(10)}   verdict`,
  );
  const format = (value: number, unit: Row["unit"]): string =>
    `${unit === "B" ? value.toFixed(0) : value.toFixed(2)} ${unit}`;
  for (const row of rows) {
    const met = isMet(row);
    const verdict = row.judged ? (met ? "ok" : "MISSED") : met ? "(ok)" : "(below)";
    console.log(
      `${row.gate.padEnd(54)}${row.build.padEnd(9)}${format(row.value, row.unit).padStart(10)}` +
        `${format(row.demand, row.unit).padStart(10)}   ${verdict}`,
    );
  }
  console.log(`verdicts in brackets are reported, not judged, on Node ${MAJOR}`);
  mkdirSync("build", { recursive: true });
  const { node, v8, openssl } = process.versions;
  const facts = { node, v8, openssl, rows: rows.map((row) => ({ ...row, met: isMet(row) })) };
  writeFileSync(REPORT, `${JSON.stringify(facts, null, 2)}\n`);
  return rows.every((row) => !row.judged || isMet(row));
}
