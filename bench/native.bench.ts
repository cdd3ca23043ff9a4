/** Asks whether batches reach the speed of a C loop over the same module, and how far pkcs11js is behind. */

import { randomBytes } from "node:crypto";
import { lookup } from "node:dns/promises";
import { readFile } from "node:fs/promises";
import { monitorEventLoopDelay, performance } from "node:perf_hooks";
import { promisify } from "node:util";
import { type ModuleName, startModule, type TestModule, whyNot } from "../test/support/hsm-modules.ts";
import { Driver } from "../test/support/native-pool.ts";
import { type Shim, shimOver } from "../test/support/shim.ts";
import { median } from "./interleave.ts";
import { endings } from "./native/endings.ts";
import { memberDies } from "./native/group.ts";
import { startOpenCryptoki } from "./native/opencryptoki.ts";
import { judge, note, verdict } from "./native/rows.ts";
import { type Operation, Subject } from "./native/subject.ts";

/** Threads that serve an operation of the two modules best on two cores. */
const BEST_THREADS = { gcm: 1, message: 1, ecdsa: 2, pss: 2 } as const;

/** The whole of a table; each verdict counts. */
class Verdicts {
  met = true;
  async add(verdict: boolean | Promise<boolean>): Promise<void> {
    if (!(await verdict)) this.met = false;
  }
}

function batchAgainstC(subject: Subject, name: string, operation: Operation, length: number, batch: number) {
  const threads = BEST_THREADS[operation];
  return judge({
    name: `A1 ${name} ${operation}${length > 0 ? ` ${length} B` : ""}, batch ${batch} / C loop, T=${threads}`,
    demand: name === "nss" ? 0.8 : 0.92,
    ours: () => {
      subject.prepare(operation, length);
      subject.limit(threads);
      return subject.batches(batch);
    },
    theirs: [() => subject.cLoop(operation, length, threads)],
  });
}

async function plainModules(verdicts: Verdicts, name: ModuleName, module: TestModule): Promise<void> {
  const subject = new Subject(module);
  await subject.open({ make: true });
  for (const batch of [64, 512]) {
    await verdicts.add(batchAgainstC(subject, name, "gcm", 32, batch));
    await verdicts.add(batchAgainstC(subject, name, "gcm", 1024, batch));
  }
  if (name === "softhsm") {
    await verdicts.add(batchAgainstC(subject, name, "ecdsa", 0, 64));
    await verdicts.add(batchAgainstC(subject, name, "pss", 0, 64));
  }

  const incumbent = subject.pkcs11js("gcm", 32);
  const batch64 = () => {
    subject.prepare("gcm", 32);
    subject.limit(1);
    return subject.batches(64);
  };
  const singles = (callers: number) => () => {
    subject.prepare("gcm", 32);
    subject.limit(1);
    return subject.singles(callers);
  };
  const async = [1, 4, 16].map((sessions) => () => incumbent.async(sessions));
  const soft = name === "softhsm";
  const row = (
    text: string,
    demand: number,
    ours: () => Promise<number>,
    theirs: (() => Promise<number>)[],
  ) => verdicts.add(judge({ name: text, demand, ours, theirs }));
  await row(`A2 ${name} gcm 32 B, batch 64 / best pkcs11js async`, soft ? 1.5 : 7, batch64, async);
  await row(`A2 ${name} gcm 32 B, batch 64 / pkcs11js sync bursts of 64`, soft ? 1.15 : 2.5, batch64, [
    () => incumbent.bursts(64),
  ]);
  await row(`A3 ${name} gcm 32 B, 64 callers / best pkcs11js async`, soft ? 1.4 : 4, singles(64), async);
  if (soft) {
    await row(`A3 ${name} gcm 32 B, 64 callers / C loop`, 0.85, singles(64), [
      () => subject.cLoop("gcm", 32, 1),
    ]);
  }
  await row(`A8 ${name} gcm 32 B, one caller / pkcs11js async, 1 session`, 0.75, singles(1), [
    () => incumbent.async(1),
  ]);
  if (name === "nss") {
    await row(
      "A10 nss gcm 32 B, batch 512: messages of 3.0 / without",
      2.5,
      () => {
        subject.prepare("message", 32);
        subject.limit(1);
        return subject.batches(512);
      },
      [
        () => {
          subject.prepare("gcm", 32);
          subject.limit(1);
          return subject.batches(512);
        },
      ],
    );
  }
  await eventLoop(verdicts, name, subject);
  if (soft) {
    await governor(verdicts, subject);
    await verdicts.add(endings(subject));
  }
  await subject.driver.close();
  await copies(verdicts, name, module);
}

/** A6: the event loop while the pool is saturated. */
async function eventLoop(verdicts: Verdicts, name: string, subject: Subject): Promise<void> {
  subject.prepare("gcm", 32);
  subject.limit(1);
  // What the machine alone makes of an event loop that has nothing to do while the module is as busy.
  const idle = await loopDuring(() => subject.cLoop("gcm", 32, 1));
  note(`A6 ${name} gcm 32 B, C loop alone: loop delay p99, ms`, idle.delay);
  note(`A6 ${name} gcm 32 B, C loop alone: longest loop delay, ms`, idle.longest);
  for (const [batch, inFlight, p99] of [
    [64, 4, 3],
    [512, 4, 3],
    [1, 64, 5],
  ] as const) {
    const { delay, longest, share } = await loopDuring(() => subject.batches(batch, inFlight));
    const what = `A6 ${name} gcm 32 B, ${inFlight} x batch ${batch}`;
    await verdicts.add(verdict(`${what}: loop delay p99, ms`, delay, `<= ${p99}`, delay <= p99));
    if (batch === 1) continue;
    await verdicts.add(verdict(`${what}: longest loop delay, ms`, longest, "<= 10", longest <= 10));
    await verdicts.add(verdict(`${what}: loop utilisation`, share, "<= 0.15", share <= 0.15));
  }
}

/** What the event loop is like in five windows of something: medians of its delay, of the longest one, and of how busy it is. */
async function loopDuring(
  run: () => Promise<unknown>,
): Promise<{ delay: number; longest: number; share: number }> {
  const delays: number[] = [];
  const longest: number[] = [];
  const shares: number[] = [];
  for (let round = 0; round < 5; round++) {
    const histogram = monitorEventLoopDelay({ resolution: 1 });
    const before = performance.eventLoopUtilization();
    histogram.enable();
    await run();
    histogram.disable();
    delays.push(histogram.percentile(99) / 1e6);
    longest.push(histogram.max / 1e6);
    shares.push(performance.eventLoopUtilization(before).utilization);
  }
  return { delay: median(delays), longest: median(longest), share: median(shares) };
}

/** A9: what the governor finds by itself, against the best fixed number of threads. */
async function governor(verdicts: Verdicts, subject: Subject): Promise<void> {
  for (const operation of ["gcm", "pss"] as const) {
    subject.prepare(operation, 32);
    subject.limit(undefined);
    for (let i = 0; i < 6; i++) await subject.batches(64);
    const found = subject.driver.stats()[operation === "gcm" ? 24 : 26] ?? 1;
    const fixed = (threads: number) => () => {
      subject.limit(threads);
      return subject.batches(64);
    };
    await verdicts.add(
      judge({
        name: `A9 softhsm ${operation}, the governor's ${found} threads / best of 1 and 2`,
        demand: 0.9,
        ours: fixed(found),
        theirs: [fixed(1), fixed(2)],
      }),
    );
  }
}

/** A11: session copies of token keys. */
async function copies(verdicts: Verdicts, name: ModuleName, module: TestModule): Promise<void> {
  const operation = name === "nss" ? "pss" : "gcm";
  const copied = new Subject(module);
  await copied.open();
  const plain = new Subject(module, { copies: false });
  await plain.open();
  const run = (subject: Subject) => () => {
    subject.prepare(operation, 32);
    subject.limit(1);
    return subject.batches(name === "nss" ? 8 : 64);
  };
  await verdicts.add(
    judge({
      name: `A11 ${name} ${operation}: session copy / token key`,
      demand: name === "nss" ? 10 : 1.5,
      ours: run(copied),
      theirs: [run(plain)],
    }),
  );
  await copied.driver.close();
  await plain.driver.close();
}

/** A12: how long 64 threads with their sessions take to start. */
async function start(verdicts: Verdicts, shim: Shim): Promise<void> {
  // Calls that last a while, so that there is work for every thread.
  shim.set({ finalUs: 20_000 });
  const times: number[] = [];
  for (let round = 0; round < 5; round++) {
    const driver = new Driver(shim, { records: 64, maxSessions: 64, limits: { sym: { min: 64, max: 64 } } });
    await driver.pool.open();
    const key = await driver.find("gcm", 4);
    const requests = Array.from({ length: 64 }, () => driver.encrypt(key, randomBytes(32)));
    const started = performance.now();
    const running = driver.submit(requests);
    // One more session keeps the login.
    while ((driver.stats()[6] ?? 0) < 64) await new Promise(setImmediate);
    times.push(performance.now() - started);
    await Promise.all(running);
    await driver.close();
  }
  shim.set({ finalUs: 0 });
  const elapsed = median(times);
  await verdicts.add(verdict("A12 64 sessions, until they are open, ms", elapsed, "<= 50", elapsed <= 50));
}

/** A1: RSA on openCryptoki's software token, where there is one. */
async function openCryptoki(verdicts: Verdicts): Promise<void> {
  const started = await startOpenCryptoki();
  if (typeof started === "string") {
    console.log(`left out openCryptoki: ${started}`);
    return;
  }
  const subject = new Subject(started);
  await subject.open({ make: true, only: ["pss"] });
  for (const batch of [64, 512]) await verdicts.add(batchAgainstC(subject, started.name, "pss", 0, batch));
  await subject.driver.close();
  started.dispose();
}

/** A4, A5, A7, A12: an HSM behind a network, which the shim plays. */
async function distant(verdicts: Verdicts, module: TestModule): Promise<void> {
  const shim = shimOver(module);
  const subject = new Subject(shim, { sessions: 64 });
  await subject.open();
  const incumbent = subject.pkcs11js("gcm", 32);
  const sessions = [4, 16, 64].map((count) => () => incumbent.async(count));
  const pool = (run: () => Promise<number>) => () => {
    subject.prepare("gcm", 32);
    subject.limit(64);
    return run();
  };
  const batch = pool(() => subject.batches(512));
  const cLoop = () => subject.cLoop("gcm", 32, 64);
  const row = (
    name: string,
    demand: number,
    ours: () => Promise<number>,
    theirs: (() => Promise<number>)[],
  ) => verdicts.add(judge({ name, demand, ours, theirs }));

  const before = process.memoryUsage().rss;
  await batch();
  const megabytes = (process.memoryUsage().rss - before) / 1e6;
  await verdicts.add(verdict("A12 64 sessions, memory they take, MB", megabytes, "<= 12", megabytes <= 12));

  shim.set({ finalUs: 2000 });
  await row("A4 2 ms a call, 64 sessions, batches / best pkcs11js async", 12, batch, sessions);
  await row("A4 2 ms a call, 64 sessions, batches / C loop, T=64", 0.93, batch, [cLoop]);
  await row(
    "A4 2 ms a call, 64 callers / C loop, T=64",
    0.85,
    pool(() => subject.singles(64)),
    [cLoop],
  );
  shim.set({ initUs: 2000 });
  await row("A5 2 ms on both calls, batches / best pkcs11js async", 20, batch, sessions);
  const ours = await loopDuring(batch);
  await verdicts.add(
    verdict("A5 2 ms on both calls, batches: loop delay p99, ms", ours.delay, "<= 3", ours.delay <= 3),
  );
  const theirs = await loopDuring(() => incumbent.async(64));
  note("A5 2 ms on both calls, pkcs11js async, 64 sessions: loop delay p99, ms", theirs.delay);
  shim.set({ initUs: 0, finalUs: 0 });
  await subject.driver.close();
  await start(verdicts, shim);
  await hanging(verdicts, shim);
}

/** A7: what else the process does while calls hang. */
async function hanging(verdicts: Verdicts, shim: Shim): Promise<void> {
  const driver = new Driver(shim, { limits: { sym: { min: 8, max: 8 } } });
  await driver.pool.open();
  const key = await driver.find("gcm", 4);
  shim.rule("C_Encrypt", { action: "sleep", argument: 2_000_000 });
  const running = driver.run(Array.from({ length: 8 }, () => driver.encrypt(key, randomBytes(32))));
  await new Promise((resolve) => setTimeout(resolve, 50));
  const tasks = {
    readFile: () => readFile("package.json"),
    lookup: () => lookup("localhost"),
    randomBytes: () => promisify(randomBytes)(64),
  };
  for (const [name, task] of Object.entries(tasks)) {
    const started = performance.now();
    await task();
    const elapsed = performance.now() - started;
    await verdicts.add(verdict(`A7 ${name} while 8 calls hang, ms`, elapsed, "< 100", elapsed < 100));
  }
  await running;
  shim.calm();
  await driver.close();
}

export async function run(): Promise<boolean> {
  const verdicts = new Verdicts();
  for (const name of ["softhsm", "nss"] as const) {
    const reason = whyNot(name);
    if (reason !== undefined) {
      console.log(`MISSED ${name}: ${reason}`);
      verdicts.met = false;
      continue;
    }
    const module = startModule(name);
    await plainModules(verdicts, name, module);
    if (name === "softhsm") {
      await distant(verdicts, module);
      await verdicts.add(memberDies());
    }
    module.dispose();
  }
  await openCryptoki(verdicts);
  return verdicts.met;
}
