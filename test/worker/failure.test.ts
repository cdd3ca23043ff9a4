/** `keyplane/worker` when a Kms closes or a worker fails: every call ends, and nothing waits for ever. */

import { afterEach, describe, expect, test, vi } from "vitest";
import { Kms } from "../../src/index.ts";
import { connectKms, type KmsWorkerScope, type RemoteKms, serveKms } from "../../src/worker.ts";

const toClose: (() => unknown)[] = [];
afterEach(() => {
  vi.unstubAllGlobals();
  for (const close of toClose.splice(0)) close();
});

function channel(): { page: MessagePort; scope: MessagePort } {
  const { port1: page, port2: scope } = new MessageChannel();
  toClose.push(() => page.close());
  return { page, scope };
}

/** A call of the Kms that ends when its signal says so, and a while after. */
function slow(kms: Kms): { started: () => boolean; reasons: unknown[] } {
  let started = false;
  const reasons: unknown[] = [];
  vi.spyOn(kms, "generateRandom").mockImplementation(
    (_request, options) =>
      new Promise((_resolve, reject) => {
        started = true;
        options?.signal?.addEventListener("abort", () => {
          reasons.push(options.signal?.reason);
          setTimeout(() => reject(options.signal?.reason), 20);
        });
      }),
  );
  return { started: () => started, reasons };
}

const codeOf = (call: Promise<unknown>): Promise<unknown> =>
  call.then(
    () => "answered",
    (error: unknown) => (error as { code?: unknown }).code ?? error,
  );

describe("closing a Kms in a worker", () => {
  test("ends the running calls of every page before it is answered", async () => {
    const { page, scope } = channel();
    const kms = await Kms.open();
    serveKms(async () => kms, scope);
    const [first, second] = [await connectKms(page), await connectKms(page)];
    const { started, reasons } = slow(kms);
    const ended: string[] = [];
    const mine = codeOf(first.generateRandom({ length: 1 })).finally(() => ended.push("mine"));
    const other = codeOf(second.generateRandom({ length: 1 })).finally(() => ended.push("other"));
    await vi.waitFor(() => expect(started()).toBe(true));
    await first.close();
    expect(ended).toContain("mine");
    expect([await mine, await other]).toEqual(["Rejected.Closed", "Rejected.Closed"]);
    expect(reasons).toMatchObject([{ code: "Rejected.Closed" }, { code: "Rejected.Closed" }]);
    await second.close();
  });

  test("answers or refuses what was sent just before it, as a Kms of one's own does", async () => {
    const { page, scope } = channel();
    const kms = await Kms.open();
    const { keyId } = await kms.createKey();
    serveKms(async () => kms, scope);
    const remote = await connectKms(page);
    const calls = Array.from({ length: 20 }, () =>
      codeOf(remote.encrypt({ keyId, plaintext: new Uint8Array(100) })),
    );
    await remote.close();
    for (const fate of await Promise.all(calls)) expect(["answered", "Rejected.Closed"]).toContain(fate);
  });

  test("ends calls that the worker never answered", async () => {
    const { remote, host } = await deafWorker();
    const call = codeOf(remote.listKeys());
    const closing = remote.close();
    host.postMessage({ type: "answer", id: 2, response: undefined });
    await closing;
    expect(await call).toBe("Rejected.Closed");
  });

  test("has the next page open it anew, after it is closed", async () => {
    const { page, scope } = channel();
    const order: string[] = [];
    serveKms(async (setup) => {
      order.push(`open ${String(setup)}`);
      const kms = await Kms.open();
      const close = kms.close.bind(kms);
      vi.spyOn(kms, "close").mockImplementation(async () => {
        order.push(`closing ${String(setup)}`);
        await new Promise((resolve) => setTimeout(resolve, 20));
        await close();
        order.push(`closed ${String(setup)}`);
      });
      return kms;
    }, scope);
    const first = await connectKms(page, { setup: "first" });
    const closing = first.close();
    await vi.waitFor(() => expect(order).toContain("closing first"));
    const second = await connectKms(page, { setup: "second" });
    await closing;
    expect(order).toEqual(["open first", "closing first", "closed first", "open second"]);
    expect((await second.generateRandom({ length: 8 })).random.length).toBe(8);
    await second.close();
  });
});

/** A worker that opens and then says nothing of its own. */
async function deafWorker(
  { page, scope }: ReturnType<typeof channel> = channel(),
  life?: string,
): Promise<{
  remote: RemoteKms;
  page: MessagePort;
  host: MessagePort;
}> {
  const arrived = new Promise<MessagePort>((resolve) => {
    scope.onmessage = ({ data }) => resolve((data as { port: MessagePort }).port);
  });
  const connecting = connectKms(page);
  const host = await arrived;
  toClose.push(() => host.close());
  host.postMessage({ type: "alive", life });
  host.postMessage({ type: "open", engine: "wasm" });
  return { remote: await connecting, page, host };
}

/** A scope that shows the port of each page that connects, as the worker has it. */
function watched(scope: MessagePort, onPort: (port: MessagePort) => void): KmsWorkerScope {
  return {
    addEventListener(type, listener) {
      scope.addEventListener(type, (event) => {
        listener(event);
        onPort((event as MessageEvent<{ port: MessagePort }>).data.port);
      });
      scope.start();
    },
  };
}

/** Web Locks with one holder and one who waits. */
class Locks {
  waiting = 0;
  release: () => void = () => undefined;
  #holder: Promise<void> | undefined;

  async request(_name: string, options: unknown, granted: unknown): Promise<unknown> {
    if (typeof options === "function") {
      this.#holder = new Promise((resolve) => {
        this.release = resolve;
      });
      return options();
    }
    this.waiting += 1;
    await this.#holder;
    return (granted as () => unknown)();
  }
}

describe("a worker that fails", () => {
  const FAILURES: Record<string, (worker: { page: MessagePort; host: MessagePort }) => void> = {
    "throws an error that nobody catches": ({ page }) => page.dispatchEvent(new Event("error")),
    "is gone": ({ host }) => host.close(),
  };
  test.each(Object.entries(FAILURES))("ends all its calls, and close, when it %s", async (_name, fail) => {
    const worker = await deafWorker();
    const { remote } = worker;
    const [call, closing] = [codeOf(remote.listKeys()), codeOf(remote.close())];
    fail(worker);
    expect([await call, await closing]).toEqual([
      "ServiceUnavailableTemporary",
      "ServiceUnavailableTemporary",
    ]);
  });

  test.each(Object.entries(FAILURES))("refuses the calls after, when it %s", async (_name, fail) => {
    const worker = await deafWorker();
    const { remote } = worker;
    const call = codeOf(remote.listKeys());
    fail(worker);
    expect(await call).toBe("ServiceUnavailableTemporary");
    expect(await codeOf(remote.listKeys())).toBe("ServiceUnavailableTemporary");
    expect(await codeOf(remote.close())).toBe("ServiceUnavailableTemporary");
    expect(await codeOf(remote.listKeys())).toBe("Rejected.Closed");
  });

  test.each(Object.entries(FAILURES))("is not listened to any more, when it %s", async (_name, fail) => {
    const { page, scope } = channel();
    const removed = vi.spyOn(page, "removeEventListener");
    const added = vi.spyOn(page, "addEventListener");
    const worker = await deafWorker({ page, scope });
    const call = codeOf(worker.remote.listKeys());
    fail(worker);
    expect(await call).toBe("ServiceUnavailableTemporary");
    expect(added).toHaveBeenCalledOnce();
    expect(removed.mock.calls).toEqual(added.mock.calls);
  });

  test("has its port closed at once when it is terminated", async () => {
    const locks = new Locks();
    vi.stubGlobal("navigator", { locks });
    void locks.request("a worker", () => undefined, undefined);
    const worker = await deafWorker(channel(), "a worker");
    const closed = new Promise((resolve) => worker.host.addEventListener("close", resolve));
    worker.host.start();
    locks.release();
    await closed;
    expect(await codeOf(worker.remote.listKeys())).toBe("ServiceUnavailableTemporary");
  });

  test("is no answer when a message of it cannot be read", async () => {
    const ports: MessagePort[] = [];
    const Channel = MessageChannel;
    const { page, scope } = channel();
    serveKms(() => Kms.open(), scope);
    vi.stubGlobal(
      "MessageChannel",
      class extends Channel {
        constructor() {
          super();
          ports.push(this.port1);
        }
      },
    );
    const remote = await connectKms(page);
    const call = codeOf(remote.listKeys());
    ports[0]?.dispatchEvent(new Event("messageerror"));
    expect(await call).toBe("ServiceUnavailableTemporary");
  });

  test("is refused when it is gone before the Kms is open", async () => {
    const { page, scope } = channel();
    scope.onmessage = ({ data }) => (data as { port: MessagePort }).port.close();
    expect(await codeOf(connectKms(page))).toBe("ServiceUnavailableTemporary");
  });

  test("is refused when it is terminated before the Kms is open, which a lock of it tells", async () => {
    const locks = new Locks();
    vi.stubGlobal("navigator", { locks });
    const { page, scope } = channel();
    serveKms(() => new Promise<never>(() => undefined), scope);
    const connecting = codeOf(connectKms(page));
    await vi.waitFor(() => expect(locks.waiting).toBe(1));
    locks.release();
    expect(await connecting).toBe("ServiceUnavailableTemporary");
  });

  test("is not waited for longer than a signal says", async () => {
    const { page } = channel();
    const reason = new Error("enough");
    expect(await codeOf(connectKms(page, { signal: AbortSignal.abort(reason) }))).toBe(reason);
    const controller = new AbortController();
    const connecting = codeOf(connectKms(page, { signal: controller.signal }));
    controller.abort(reason);
    expect(await connecting).toBe(reason);
  });

  test("is not touched by the signal once it is connected", async () => {
    const { page, scope } = channel();
    serveKms(() => Kms.open(), scope);
    const controller = new AbortController();
    const remote = await connectKms(page, { signal: controller.signal });
    controller.abort();
    expect((await remote.generateRandom({ length: 3 })).random.length).toBe(3);
    await remote.close();
  });

  test("that lives on is asked to close all the same", async () => {
    const { remote, page, host } = await deafWorker();
    const heard: unknown[] = [];
    host.onmessage = ({ data }) => heard.push((data as { type: unknown }).type);
    const call = codeOf(remote.listKeys());
    page.dispatchEvent(new Event("error"));
    expect(await call).toBe("ServiceUnavailableTemporary");
    expect(await codeOf(remote.close())).toBe("ServiceUnavailableTemporary");
    await vi.waitFor(() => expect(heard).toEqual(["open", "call", "close"]));
  });

  test("refuses a setup that it cannot read", async () => {
    const { page, scope } = channel();
    serveKms(
      () => Kms.open(),
      watched(scope, (port) => port.dispatchEvent(new Event("messageerror"))),
    );
    expect(await codeOf(connectKms(page))).toBe("InvalidParameter");
  });

  test("tells of a call that it cannot read, and serves those after", async () => {
    const { page, scope } = channel();
    const kms = await Kms.open();
    const hosts: MessagePort[] = [];
    serveKms(
      async () => kms,
      watched(scope, (port) => hosts.push(port)),
    );
    const remote = await connectKms(page);
    const { started } = slow(kms);
    const [call, other] = [codeOf(remote.generateRandom({ length: 1 })), codeOf(remote.listKeys())];
    await vi.waitFor(() => expect(started()).toBe(true));
    expect(await other).toBe("answered");
    hosts[0]?.dispatchEvent(new Event("messageerror"));
    expect(await call).toBe("ServiceUnavailableTemporary");
    expect(await codeOf(remote.listKeys())).toBe("answered");
    await remote.close();
  });

  test("leaves no listener behind once the Kms is closed", async () => {
    const { page, scope } = channel();
    const removed = vi.spyOn(page, "removeEventListener");
    const added = vi.spyOn(page, "addEventListener");
    serveKms(() => Kms.open(), scope);
    await (await connectKms(page)).close();
    expect(removed.mock.calls).toEqual(added.mock.calls);
  });
});
