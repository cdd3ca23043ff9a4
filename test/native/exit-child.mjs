/** Ends a process or a worker in the way it is told to, with the pool under load. Run by exit.test.ts. */

import { createRequire } from "node:module";
import { isMainThread, Worker, workerData } from "node:worker_threads";

const options = isMainThread ? JSON.parse(process.argv[2] ?? "{}") : workerData;
const { addonFile, library, tokenLabel, pin, keyId, ending, hangs } = options;

const RECORDS = 512;
const SLOT = 128;

/** Opens a pool and keeps it busy for ever; resolves when a good part of the records is done. */
async function load() {
  const addon = createRequire(import.meta.url)(addonFile);
  let done = 0;
  let wake = () => {};
  const started = new Promise((resolve) => {
    wake = resolve;
  });
  const pool = new addon.Pool({
    library,
    token: { label: tokenLabel },
    onDrain(count) {
      for (let i = 0; i < count; i++) {
        const first = pool.ring[3 * i + 1];
        const tail = pool.ring[3 * i + 2];
        if (tail >>> 24 === 1) continue;
        done += tail & 0xffffff;
        if (pool.state() === 2) pool.submit(arena.id, first, tail & 0xffffff);
      }
      if (done > 64) wake();
    },
    onEvent(code) {
      if (code === 1) pool.providePin(new TextEncoder().encode(pin));
    },
    limits: { sym: { min: 4, max: 4 } },
  });
  await pool.open();
  const key = await pool.resolveKey({ id: new TextEncoder().encode(keyId), class: 4 }, []);
  const arena = pool.createArena(RECORDS, RECORDS * SLOT);
  const view = new DataView(arena.buffer);
  for (let i = 0; i < RECORDS; i++) {
    const at = i * 64;
    const data = RECORDS * 64 + i * SLOT;
    view.setUint8(at, 1);
    view.setUint8(at + 1, 1);
    view.setUint32(at + 4, 0x1087, true);
    view.setUint32(at + 8, key.ref, true);
    view.setUint8(at + 12, 16);
    view.setUint32(at + 16, data, true);
    view.setUint32(at + 20, 12, true);
    view.setUint32(at + 32, data + 16, true);
    view.setUint32(at + 36, 32, true);
    view.setUint32(at + 40, data + 64, true);
    view.setUint32(at + 44, 48, true);
  }
  pool.submit(arena.id, 0, RECORDS);
  await (hangs ? new Promise((resolve) => setTimeout(resolve, 100)) : started);
  return pool;
}

if (!isMainThread) {
  await load();
  // Told so that the parent ends it in the middle.
  const { parentPort } = await import("node:worker_threads");
  parentPort?.postMessage("loaded");
} else if (ending === "terminate") {
  let longest = 0;
  for (let i = 0; i < (options.times ?? 1); i++) {
    const worker = new Worker(new URL(import.meta.url), { workerData: options });
    await new Promise((resolve, reject) => {
      worker.once("message", resolve);
      worker.once("error", reject);
    });
    const asked = performance.now();
    await worker.terminate();
    longest = Math.max(longest, performance.now() - asked);
  }
  process.stdout.write(`ended, the slowest in ${longest} ms`);
} else {
  const pool = await load();
  process.stdout.write("loaded\n");
  if (ending === "exit") process.exit(7);
  if (ending === "throw") {
    setTimeout(() => {
      throw new Error("on purpose");
    }, 1);
  }
  if (ending === "close") {
    await pool.close(0);
    process.exitCode = 7;
  }
  if (ending === "sigterm") process.kill(process.pid, "SIGTERM");
}
