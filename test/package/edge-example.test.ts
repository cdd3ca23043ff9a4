/** The handler of examples/edge, given envelopes that are not whole and keys that are none; runtimes are tested elsewhere. */

import { createCipheriv, randomBytes } from "node:crypto";
import { join } from "node:path";
import { beforeAll, beforeEach, describe, expect, test, vi } from "vitest";

interface Handler {
  fetch(request: Request, environment: object): Promise<Response>;
}

const { destroyed, opening } = vi.hoisted(() => ({ destroyed: { count: 0 }, opening: { fails: false } }));
vi.mock("keyplane/engine", async () => {
  const { loadEngine } = await import("../../src/engine.ts");
  return {
    loadEngine: async () => {
      const { aesGcm } = await loadEngine("wasm");
      if (aesGcm === undefined) throw new Error("no AES-GCM");
      const { importKey, open } = aesGcm;
      vi.spyOn(aesGcm, "importKey").mockImplementation((bytes) => {
        const key = importKey.call(aesGcm, bytes);
        const { destroy } = key;
        vi.spyOn(key, "destroy").mockImplementation(() => {
          destroyed.count++;
          destroy.call(key);
        });
        return key;
      });
      vi.spyOn(aesGcm, "open").mockImplementation((...values) => {
        if (opening.fails) throw new Error("no memory");
        return open.apply(aesGcm, values);
      });
      return { aesGcm };
    },
  };
});

let handler: Handler;
beforeAll(async () => {
  const file = join(import.meta.dirname, "../../examples/edge/worker.js");
  handler = ((await import(file)) as { default: Handler }).default;
});
beforeEach(() => {
  destroyed.count = 0;
  opening.fails = false;
});

function envelope(key: Uint8Array): Buffer {
  const iv = randomBytes(12);
  const cipher = createCipheriv("aes-256-gcm", key, iv);
  const sealed = [cipher.update("attack at dawn"), cipher.final(), cipher.getAuthTag()];
  return Buffer.concat([Buffer.of(0, 5), Buffer.from("edkey"), iv, ...sealed]);
}

/** Posts an envelope, with a remote KMS that answers `dataKey`. */
async function open(
  body: Uint8Array,
  dataKey: Uint8Array,
): Promise<{ answer: Response | undefined; asked: string[] }> {
  const asked: string[] = [];
  const unwrapDataKey = async (encrypted: Uint8Array): Promise<Uint8Array> => {
    asked.push(Buffer.from(encrypted).toString());
    return dataKey;
  };
  const request = new Request("http://edge/open", { method: "POST", body: new Uint8Array(body) });
  const answer = await handler.fetch(request, { unwrapDataKey }).catch(() => undefined);
  return { answer, asked };
}

describe("the edge handler", () => {
  test("opens an envelope, and keeps neither the data key nor its handle", async () => {
    const dataKey = new Uint8Array(randomBytes(32));
    const { answer, asked } = await open(envelope(dataKey), dataKey);
    expect(await answer?.text()).toBe("attack at dawn");
    expect(asked).toEqual(["edkey"]);
    expect(dataKey).toEqual(new Uint8Array(32));
    expect(destroyed.count).toBe(1);
  });

  test("refuses an envelope that is not whole before it asks the remote KMS", async () => {
    const whole = envelope(randomBytes(32));
    const bodies = [
      Buffer.alloc(0),
      Buffer.of(0),
      Buffer.of(0, 5),
      Buffer.concat([Buffer.of(0, 0), whole.subarray(2)]),
      Buffer.concat([Buffer.of(0xff, 0xff), whole.subarray(2)]),
      whole.subarray(0, 7 + 11),
      whole.subarray(0, 7 + 12 + 15),
    ];
    for (const body of bodies) {
      const { answer, asked } = await open(body, randomBytes(32));
      expect([body.length, answer?.status, asked]).toEqual([body.length, 400, []]);
    }
  });

  test("wipes a data key that is no key", async () => {
    const dataKey = new Uint8Array(31).fill(7);
    const { answer } = await open(envelope(randomBytes(32)), dataKey);
    expect(answer).toBeUndefined();
    expect(dataKey).toEqual(new Uint8Array(31));
  });

  test("wipes the data key and destroys its handle when opening fails, whatever the reason", async () => {
    for (const fails of [false, true]) {
      opening.fails = fails;
      const dataKey = new Uint8Array(32).fill(7);
      const { answer } = await open(envelope(randomBytes(32)), dataKey);
      expect(answer?.status).toBe(fails ? undefined : 400);
      expect(dataKey).toEqual(new Uint8Array(32));
    }
    expect(destroyed.count).toBe(2);
  });
});
