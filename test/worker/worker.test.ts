/** `keyplane/worker` over the message ports of one process: what crosses, what stays behind, what is refused. */

import { afterEach, describe, expect, test, vi } from "vitest";
import { KmsError } from "../../src/errors.ts";
import { Kms } from "../../src/index.ts";
import { isRemoteMethod, REMOTE_METHODS } from "../../src/worker/messages.ts";
import { connectKms, type RemoteKms, serveKms } from "../../src/worker.ts";

const toClose: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of toClose.splice(0)) await close();
});

interface Served {
  readonly remote: RemoteKms;
  /** The Kms behind it. */
  readonly kms: Kms;
  readonly keyId: string;
  /** The worker's end, for messages of one's own. */
  readonly page: MessagePort;
}

/** Makes a worker of a message port. */
async function serve(): Promise<Served> {
  const { port1: page, port2: scope } = new MessageChannel();
  const kms = await Kms.open();
  const { keyId } = await kms.createKey();
  serveKms(async () => kms, scope);
  const remote = await connectKms(page);
  toClose.push(
    () => remote.close(),
    () => page.close(),
  );
  return { remote, kms, keyId, page };
}

const bytes = (length: number): Uint8Array<ArrayBuffer> => new Uint8Array(length).fill(7);

describe("a Kms behind messages", () => {
  test("has every asynchronous call of a Kms, and no other", () => {
    const own = Object.getOwnPropertyNames(Kms.prototype).concat(
      Object.getOwnPropertyNames(Object.getPrototypeOf(Kms.prototype) as object),
    );
    const calls = own.filter((name) => !/^(constructor|engine|close)$|Sync$/.test(name));
    expect([...REMOTE_METHODS].sort()).toEqual(calls.sort());
    expect(["close", "constructor", "toString", "__proto__", "encryptSync", 3].some(isRemoteMethod)).toBe(
      false,
    );
  });

  test("opens what it sealed, and a batch keeps its order and its errors", async () => {
    const { remote, keyId, kms } = await serve();
    expect(remote.engine).toBe(kms.engine);
    const unknown = { keyId: "key-00000000000000000000", plaintext: bytes(3) };
    const items = await remote.advanceEncryptBatch([{ keyId, plaintext: bytes(5) }, unknown]);
    const [first, second] = items;
    if (first?.ok !== true || second?.ok !== false) throw new Error("not as expected");
    expect(second.error).toBeInstanceOf(KmsError);
    expect(second.error.code).toBe("Forbidden.KeyNotFound");
    const { ciphertextBlob } = first.value;
    expect((await remote.advanceDecrypt({ ciphertextBlob })).plaintext).toEqual(bytes(5));
  });

  test("an error keeps its code, message, status and request id", async () => {
    const { remote, kms } = await serve();
    const request = { ciphertextBlob: bytes(80) };
    const here = await kms.advanceDecrypt(request).catch((error: unknown) => error as KmsError);
    const there = await remote.advanceDecrypt(request).catch((error: unknown) => error as KmsError);
    if (!(here instanceof KmsError && there instanceof KmsError)) throw new Error("no errors");
    expect(there.toJSON()).toEqual({ ...here.toJSON(), requestId: there.requestId });
    expect(there.requestId).toMatch(/./);
  });

  test("the worker's copy of a plaintext is zeroed, and the caller's is left alone", async () => {
    const { remote, kms, keyId } = await serve();
    const seen: Uint8Array[] = [];
    const { encrypt } = kms;
    vi.spyOn(kms, "encrypt").mockImplementation((request, options) => {
      seen.push(request.plaintext);
      return encrypt.call(kms, request, options);
    });
    const plaintext = bytes(1000);
    await remote.encrypt({ keyId, plaintext });
    expect(plaintext).toEqual(bytes(1000));
    await vi.waitFor(() => expect(seen).toEqual([new Uint8Array(1000)]));
    expect(seen[0]?.buffer).not.toBe(plaintext.buffer);
  });

  test("plaintext that comes back leaves nothing in the worker", async () => {
    const { remote, kms, keyId } = await serve();
    const made: Uint8Array[] = [];
    const { generateDataKey } = kms;
    vi.spyOn(kms, "generateDataKey").mockImplementation(async (request, options) => {
      const response = await generateDataKey.call(kms, request, options);
      made.push(response.plaintext);
      return response;
    });
    const { plaintext } = await remote.generateDataKey({ keyId });
    expect(plaintext.length).toBe(32);
    expect(made.map(({ byteLength }) => byteLength)).toEqual([0]);
  });

  test("an aborted call ends at once with the signal's reason, and the worker hears of it", async () => {
    const { remote, kms, keyId } = await serve();
    let heard: unknown;
    vi.spyOn(kms, "encrypt").mockImplementation(
      (_request, options) =>
        new Promise((_resolve, reject) => {
          options?.signal?.addEventListener("abort", () => {
            heard = options.signal?.aborted;
            reject(options.signal?.reason);
          });
        }),
    );
    const controller = new AbortController();
    const call = remote.encrypt({ keyId, plaintext: bytes(1) }, { signal: controller.signal });
    const reason = new Error("enough");
    controller.abort(reason);
    await expect(call).rejects.toBe(reason);
    await vi.waitFor(() => expect(heard).toBe(true));
    await expect(remote.generateRandom({ length: 8 }, { signal: controller.signal })).rejects.toBe(reason);
  });

  test("shared memory and things that cannot be cloned are refused, and nothing is sent", async () => {
    const { remote, kms, keyId } = await serve();
    const encrypt = vi.spyOn(kms, "encrypt");
    const shared = new Uint8Array(new SharedArrayBuffer(8));
    await expect(remote.encrypt({ keyId, plaintext: shared })).rejects.toMatchObject({
      code: "InvalidParameter",
    });
    const foreign = { keyId, plaintext: bytes(1), call: () => undefined };
    await expect(remote.encrypt(foreign)).rejects.toMatchObject({ code: "InvalidParameter" });
    expect(encrypt).not.toHaveBeenCalled();
  });

  test("a call that is none is refused by the worker, whoever asks", async () => {
    const { page } = await serve();
    const { port1, port2 } = new MessageChannel();
    toClose.push(() => port1.close());
    const answers: unknown[] = [];
    port1.onmessage = ({ data }) => answers.push(data);
    page.postMessage({ keyplane: "connect", port: port2 }, [port2]);
    port1.postMessage({ type: "open" });
    await vi.waitFor(() => expect(answers).toMatchObject([{ type: "alive" }, { type: "open" }]));
    port1.postMessage({ type: "call", id: 1, method: "constructor", request: {}, wantsProgress: false });
    await vi.waitFor(() =>
      expect(answers).toMatchObject([
        { type: "alive" },
        { type: "open" },
        { type: "failure", id: 1, error: { code: "InvalidParameter" } },
      ]),
    );
  });

  test("a Kms that does not open refuses that page, and the next one has it tried again", async () => {
    const { port1: page, port2: scope } = new MessageChannel();
    toClose.push(() => page.close());
    const kms = await Kms.open();
    const setups: unknown[] = [];
    serveKms(async (setup) => {
      setups.push(setup);
      if (setup === "wrong") throw new KmsError("InvalidRootKey", "wrong");
      return kms;
    }, scope);
    await expect(connectKms(page, { setup: "wrong" })).rejects.toMatchObject({ code: "InvalidRootKey" });
    await expect(connectKms(page, { setup: () => 1 })).rejects.toMatchObject({ code: "InvalidParameter" });
    const first = await connectKms(page, { setup: "right" });
    const second = await connectKms(page, { setup: "ignored" });
    expect(setups).toEqual(["wrong", "right"]);
    await first.close();
    await expect(second.generateRandom({ length: 1 })).rejects.toMatchObject({ code: "Rejected.Closed" });
    await expect(first.generateRandom({ length: 1 })).rejects.toMatchObject({ code: "Rejected.Closed" });
    await second.close();
  });

  test("is not served in a page, where messages may come from anywhere", () => {
    vi.stubGlobal("document", {});
    try {
      expect(() => serveKms(() => Kms.open())).toThrow(/not in a page/);
    } finally {
      vi.unstubAllGlobals();
    }
  });
});
