/** Guest for Node, Bun and Deno: reads a request from standard input, writes the report; in a worker thread if told so. */

import { writeSync } from "node:fs";
import process from "node:process";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { library } from "./library.ts";
import type { SuiteRequest } from "./protocol.ts";
import { runSuite } from "./suite.ts";

if (!isMainThread) {
  parentPort?.postMessage(JSON.stringify(await runSuite(library, JSON.parse(workerData) as SuiteRequest)));
} else {
  const request = await readAll();
  if (process.argv[2] === "thread") {
    const worker = new Worker(new URL(import.meta.url), { workerData: request });
    const report = await new Promise<string>((resolve, reject) => {
      worker.once("message", resolve);
      worker.once("error", reject);
    });
    await worker.terminate();
    write(report);
  } else {
    write(JSON.stringify(await runSuite(library, JSON.parse(request) as SuiteRequest)));
  }
}

async function readAll(): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of process.stdin) text += decoder.decode(chunk, { stream: true });
  return text;
}

/** Writes all of a text: a pipe takes part of a long one at a time. */
function write(text: string): void {
  const bytes = new TextEncoder().encode(text);
  for (let at = 0; at < bytes.length; ) {
    try {
      at += writeSync(1, bytes, at, bytes.length - at);
    } catch (error) {
      if ((error as { code?: string }).code !== "EAGAIN") throw error;
    }
  }
}
