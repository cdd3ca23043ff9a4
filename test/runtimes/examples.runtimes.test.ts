/** The edge examples open envelopes and verify signatures, each in the runtime it is for. */

import { type ChildProcess, spawn } from "node:child_process";
import { createCipheriv, generateKeyPairSync, randomBytes, sign } from "node:crypto";
import { cpSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Kms } from "../../src/index.ts";
import { type App, makeApp } from "./app.ts";
import { freePort, serveWorkerd } from "./edge-guests.ts";
import { binary, has, ROOT } from "./tools.ts";

let app: App;
let kms: Kms;
let remote: Server;
let keyId = "";
let environment: Record<string, string> = {};
const children: ChildProcess[] = [];
const toClose: (() => Promise<void>)[] = [];
const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "prime256v1" });

beforeAll(async () => {
  app = makeApp();
  cpSync(join(ROOT, "examples/edge"), app.folder, { recursive: true });
  kms = await Kms.open();
  ({ keyId } = await kms.createKey());
  remote = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", async () => {
      const { plaintext } = await kms.advanceDecrypt({
        ciphertextBlob: new Uint8Array(Buffer.concat(chunks)),
      });
      response.end(plaintext);
    });
  });
  await new Promise<void>((resolve) => remote.listen(0, "127.0.0.1", resolve));
  environment = {
    KMS_URL: `http://127.0.0.1:${(remote.address() as AddressInfo).port}/`,
    PUBLIC_KEY: publicKey.export({ type: "spki", format: "der" }).toString("base64"),
  };
});
afterAll(async () => {
  for (const close of toClose) await close();
  for (const child of children) child.kill("SIGKILL");
  remote?.close();
  await kms?.close();
  app?.remove();
});

/** Starts a script that serves on PORT, and waits until it does. */
async function serveScript(command: string, args: readonly string[]): Promise<string> {
  const port = await freePort();
  const env = { ...process.env, ...environment, PORT: String(port) };
  children.push(spawn(command, args, { cwd: app.folder, env, stdio: "ignore" }));
  const origin = `http://127.0.0.1:${port}`;
  for (let tries = 0; tries < 400; tries++) {
    if (await fetch(origin).then(Boolean, () => false)) return origin;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`${command} does not serve`);
}

const SERVERS = [
  {
    name: "workerd",
    tool: "workerd",
    start: async () => {
      const { origin, close } = await serveWorkerd(app, join(app.folder, "cloudflare.js"), environment);
      toClose.push(close);
      return origin;
    },
  },
  {
    name: "deno",
    tool: "deno",
    start: () =>
      serveScript(binary("deno"), [
        "run",
        "--allow-all",
        "--node-modules-dir=manual",
        join(app.folder, "deno.js"),
      ]),
  },
  { name: "bun", tool: "bun", start: () => serveScript(binary("bun"), [join(app.folder, "bun.js")]) },
] as const;

describe.each(SERVERS)("the handler in $name", ({ tool, start }) => {
  test.skipIf(!has(tool))("opens an envelope with the remote key and verifies a signature here", async () => {
    const origin = await start();
    const post = (path: string, body: Uint8Array): Promise<Response> =>
      fetch(origin + path, { method: "POST", body: new Uint8Array(body) });
    const { plaintext: dataKey, ciphertextBlob } = await kms.advanceGenerateDataKey({ keyId });
    const iv = randomBytes(12);
    const cipher = createCipheriv("aes-256-gcm", dataKey, iv);
    const sealed = Buffer.concat([cipher.update("attack at dawn"), cipher.final(), cipher.getAuthTag()]);
    const length = Buffer.of(ciphertextBlob.length >> 8, ciphertextBlob.length & 0xff);
    const envelope = Buffer.concat([length, ciphertextBlob, iv, sealed]);
    expect(await (await post("/open", envelope)).text()).toBe("attack at dawn");
    envelope[envelope.length - 1] = (envelope.at(-1) ?? 0) ^ 1;
    expect((await post("/open", envelope)).status).toBe(400);

    const message = Buffer.from("release 1.2.3");
    const signature = sign("sha256", message, { key: privateKey, dsaEncoding: "ieee-p1363" });
    const signed = Buffer.concat([Buffer.of(signature.length), signature, message]);
    expect(await (await post("/verify", signed)).text()).toBe("true");
    signed[signed.length - 1] = (signed.at(-1) ?? 0) ^ 1;
    expect((await post("/verify", signed)).status).toBe(403);
  });
});
