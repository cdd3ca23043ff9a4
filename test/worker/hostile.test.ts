/** What serves a Kms to pages, given messages that no page of ours sends. */

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { KmsError } from "../../src/errors.ts";
import { Kms } from "../../src/index.ts";
import { packRequest, wipeBytes } from "../../src/worker/messages.ts";
import { connectKms, serveKms } from "../../src/worker.ts";

const toClose: (() => unknown)[] = [];
/** Errors that reach nobody end a worker, or at least its page's trust in it. */
const uncaught: unknown[] = [];
const onUncaught = (error: unknown): void => {
  uncaught.push(error);
};
beforeEach(() => {
  uncaught.length = 0;
  process.on("unhandledRejection", onUncaught).on("uncaughtException", onUncaught);
});
afterEach(async () => {
  for (const close of toClose.splice(0)) await close();
  await new Promise((resolve) => setTimeout(resolve, 5));
  process.off("unhandledRejection", onUncaught).off("uncaughtException", onUncaught);
  expect(uncaught).toEqual([]);
});

interface Stranger {
  readonly page: MessagePort;
  readonly port: MessagePort;
  readonly answers: unknown[];
  readonly kms: Kms;
}

/** Connects without the client. */
async function stranger(): Promise<Stranger> {
  const { port1: page, port2: scope } = new MessageChannel();
  const kms = await Kms.open();
  serveKms(async () => kms, scope);
  const { port1: port, port2 } = new MessageChannel();
  const answers: unknown[] = [];
  port.onmessage = ({ data }) => answers.push(data);
  page.postMessage({ keyplane: "connect", port: port2 }, [port2]);
  port.postMessage({ type: "open" });
  await vi.waitFor(() => expect(answers).toMatchObject([{ type: "alive" }, { type: "open" }]));
  answers.length = 0;
  toClose.push(
    () => kms.close(),
    () => port.close(),
    () => page.close(),
  );
  return { page, port, answers, kms };
}

describe("a worker that serves a Kms", () => {
  test("answers a request that contains itself, and zeroes its bytes", async () => {
    const { port, answers, kms } = await stranger();
    const seen: Uint8Array[] = [];
    vi.spyOn(kms, "encrypt").mockImplementation(async (request) => {
      seen.push(request.plaintext);
      throw new KmsError("InvalidParameter", "no");
    });
    const request: Record<string, unknown> = { plaintext: new Uint8Array(8).fill(7) };
    request["a"] = request;
    port.postMessage({ type: "call", id: 1, method: "encrypt", request, wantsProgress: false });
    await vi.waitFor(() => expect(answers).toMatchObject([{ type: "failure", id: 1 }]));
    expect(seen).toEqual([new Uint8Array(8)]);
  });

  test.each([
    ["null", null],
    ["no object", "close"],
    ["another type", { type: "shutdown", id: 1 }],
    ["no type", { id: 1 }],
    ["a close without a number", { type: "close" }],
    [
      "a call without a number",
      { type: "call", id: {}, method: "listKeys", request: {}, wantsProgress: false },
    ],
  ])("ignores a message that is %s", async (_name, message) => {
    const { port, answers, kms } = await stranger();
    const close = vi.spyOn(kms, "close");
    port.postMessage(message);
    port.postMessage({
      type: "call",
      id: 2,
      method: "generateRandom",
      request: { length: 1 },
      wantsProgress: false,
    });
    await vi.waitFor(() => expect(answers).toMatchObject([{ type: "answer", id: 2 }]));
    expect(close).not.toHaveBeenCalled();
  });

  test("does not open a Kms for one who brings no port", async () => {
    const { port1: page, port2: scope } = new MessageChannel();
    toClose.push(() => page.close());
    const setups: unknown[] = [];
    serveKms(async (setup) => {
      setups.push(setup);
      return Kms.open();
    }, scope);
    page.postMessage(null);
    page.postMessage({ keyplane: "connect", setup: "no port" });
    page.postMessage({ keyplane: "connect", setup: "no real port", port: { postMessage: 1 } });
    const remote = await connectKms(page, { setup: "ours" });
    expect(setups).toEqual(["ours"]);
    await remote.close();
  });

  test("tells nothing of errors that are not KmsErrors, which may quote a key", async () => {
    const { port1: page, port2: scope } = new MessageChannel();
    toClose.push(() => page.close());
    serveKms(async () => JSON.parse('{"key": "c2VjcmV0"') as Kms, scope);
    const error = await connectKms(page).catch((refusal: unknown) => refusal as KmsError);
    if (!(error instanceof KmsError)) throw new Error("opened");
    expect(error.toJSON()).toMatchObject({ code: "InternalFailure", message: "The worker failed." });
  });
});

describe("the bytes of a message", () => {
  test("are zeroed at any depth, once given away or not", () => {
    const own = new Uint8Array(4).fill(7);
    const given = new Uint8Array(4).fill(7);
    structuredClone(given, { transfer: [given.buffer] });
    let nest: unknown = [given, own];
    for (let depth = 0; depth < 100_000; depth++) nest = [nest];
    wipeBytes(nest);
    expect(own).toEqual(new Uint8Array(4));
  });

  test("that are not copied stay the caller's when the request cannot be sent", async () => {
    const { port1: page, port2: scope } = new MessageChannel();
    toClose.push(() => page.close());
    serveKms(() => Kms.open(), scope);
    const remote = await connectKms(page);
    class Odd {
      readonly bytes: Uint8Array = new Uint8Array(4).fill(7);
      readonly call = (): void => undefined;
    }
    const odd = new Odd();
    await expect(
      remote.encrypt({ keyId: "k", plaintext: new Uint8Array(1), odd } as never),
    ).rejects.toMatchObject({
      code: "InvalidParameter",
    });
    expect(odd.bytes).toEqual(new Uint8Array(4).fill(7));
    expect(packRequest({ plaintext: odd.bytes }).transfer.length).toBe(1);
    await remote.close();
  });
});
