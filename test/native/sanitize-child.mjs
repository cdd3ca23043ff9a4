/** Exercises a sanitized build of the addon over the shim; started by sanitize.slow.test.ts with the folder of the build. */

import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";

const folder = process.argv[2] ?? "";
const addon = createRequire(import.meta.url)(join(folder, "keyplane.node"));
const token = mkdtempSync(join(tmpdir(), "keyplane-sanitize-"));
mkdirSync(join(token, "tokens"));
const conf = join(token, "softhsm2.conf");
writeFileSync(conf, `directories.tokendir = ${join(token, "tokens")}\nobjectstore.backend = file\n`);
process.env.SOFTHSM2_CONF = conf;
execFileSync(
  "softhsm2-util",
  ["--init-token", "--free", "--label", "sanitize", "--pin", "123456", "--so-pin", "5678"],
  { stdio: "pipe", env: { ...process.env, LD_PRELOAD: "" } },
);

// As test/support/shim.ts has it.
const library = join(token, "shim.so");
cpSync(join(folder, "shim_pkcs11.node"), library);
const page = Buffer.alloc(3072);
page.write("/usr/lib/softhsm/libsofthsm2.so", 0);
writeFileSync(`${library}.ctl`, page);
const control = openSync(`${library}.ctl`, "r+");
const ENCRYPT_INIT = 24;
const ENCRYPT = 25;
function rule(index, fn, action, argument, perMille) {
  const bytes = Buffer.alloc(64);
  bytes.writeUInt32LE(1, 0);
  bytes.writeUInt32LE(fn, 4);
  bytes.writeUInt32LE(1, 8);
  bytes.writeBigUInt64LE(BigInt(argument), 16);
  bytes.writeUInt32LE(action, 24);
  bytes.writeUInt32LE(perMille, 28);
  writeSync(control, bytes, 0, 64, 2048 + 64 * index);
}
const calm = () => writeSync(control, Buffer.alloc(1024), 0, 1024, 2048);

const RECORDS = 512;
const SLOT = 256;
let waiting = 0;
let wake = () => {};
const pool = new addon.Pool({
  library,
  token: { label: "sanitize" },
  limits: { sym: { min: 3, max: 3 } },
  onDrain(count) {
    for (let i = 0; i < count; i++) {
      const tail = pool.ring[3 * i + 2];
      // A record that timed out is done when it is released.
      if (tail >>> 24 !== 1) waiting -= tail & 0xffffff;
    }
    if (waiting === 0) wake();
  },
  onEvent(code) {
    if (code === 1) pool.providePin(new TextEncoder().encode("123456"));
  },
});
await pool.open();
const yes = Uint8Array.of(1);
const name = new TextEncoder().encode("key");
await pool.generateKey(0x1080, [
  [0x0, addon.ulong(4)],
  [0x100, addon.ulong(0x1f)],
  [0x161, addon.ulong(32)],
  [0x1, yes],
  [0x2, yes],
  [0x102, name],
  [0x104, yes],
  [0x105, yes],
]);
const key = await pool.resolveKey({ id: name, class: 4, sessionCopy: true }, [0x161, 0x11]);
const arena = pool.createArena(RECORDS, RECORDS * SLOT);
const bytes = new Uint8Array(arena.buffer);
const view = new DataView(arena.buffer);

function write(i, deadline) {
  const at = i * 64;
  const data = RECORDS * 64 + i * SLOT;
  bytes.fill(0, at, at + 64);
  bytes[at] = 1;
  bytes[at + 1] = 1 | (i % 3 === 0 ? 4 : 0);
  view.setUint32(at + 4, 0x1087, true);
  view.setUint32(at + 8, key.ref, true);
  bytes[at + 12] = 16;
  view.setUint32(at + 16, data, true);
  view.setUint32(at + 20, 12, true);
  view.setUint32(at + 24, data + 16, true);
  view.setUint32(at + 28, i % 20, true);
  view.setUint32(at + 32, data + 48, true);
  view.setUint32(at + 36, i % 64, true);
  view.setUint32(at + 40, data + 128, true);
  view.setUint32(at + 44, (i % 64) + 16, true);
  view.setUint32(at + 48, deadline, true);
}

async function round(deadline = 0, spoil = () => {}) {
  for (let i = 0; i < RECORDS; i++) {
    write(i, deadline);
    spoil(i * 64);
  }
  const done = new Promise((resolve) => {
    wake = resolve;
  });
  waiting = RECORDS;
  for (let i = 0; i < RECORDS; i += 64) {
    if (pool.submit(arena.id, i, 64) !== 0) throw new Error("submit");
  }
  await done;
}

let rounds = 0;
for (let calls = 0; calls < 100_000; calls += RECORDS) {
  await round();
  rounds++;
}

// Records of noise: nothing may read or write outside.
const noise = () => Math.floor(Math.random() * 0x1_0000_0000);
for (let i = 0; i < 20; i++) {
  await round(0, (at) => {
    for (let times = 0; times < 3; times++)
      view.setUint32(at + 4 * Math.floor(Math.random() * 12), noise(), true);
    bytes[at] = Math.floor(Math.random() * 7);
    // Deadlines of noise would only end it early.
    view.setUint32(at + 48, 0, true);
  });
}

rule(0, ENCRYPT, 1, 0x30, 20);
rule(1, ENCRYPT, 2, 0x30, 20);
rule(2, ENCRYPT_INIT, 1, 0x5, 20);
for (let i = 0; i < 5; i++) await round();
calm();
rule(0, ENCRYPT_INIT, 4, 0, 3);
for (let i = 0; i < 5; i++) await round();
calm();
rule(0, ENCRYPT, 3, 60_000, 5);
for (let i = 0; i < 3; i++) await round(pool.now() + 30);
calm();
rule(0, ENCRYPT, 8, 0xffff_ffff, 50);
await round();
calm();

// What the leak detector must find, or it detects nothing.
rule(0, ENCRYPT, 11, 4321, 0);
await round();
calm();

pool.releaseKey(key.ref);
await pool.close(2000);
pool.destroyArena(arena.id);
rmSync(token, { recursive: true, force: true });
process.stdout.write(`sanitized: done, ${rounds * RECORDS} calls and the faults\n`);
