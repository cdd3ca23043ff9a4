/** The page behind `indexeddb.runtimes.test.ts`: puts stores and a Kms of the page at the test's command. */

import { KmsError } from "../../../src/errors.ts";
import type { KeyStore, StoreChange } from "../../../src/keys/key-store.ts";
import { indexedDbRootKey, indexedDbStore } from "../../../src/stores/indexeddb.ts";
import { decryptStream, encryptStream } from "../../../src/stream.ts";
import { Kms } from "../../../src/web.ts";

/** A change as it crosses to the page: bytes are base64 there, which the drivers carry far quicker than numbers. */
export type SentChange =
  | { readonly action: "put"; readonly kind: string; readonly id: string; readonly bytes: string }
  | { readonly action: "delete"; readonly kind: string; readonly id: string };

export interface Outcome {
  readonly records?: { kind: string; id: string; bytes: string }[];
  readonly error?: { readonly code: string; readonly message: string };
}

export interface StorePage {
  make(name: string): number;
  call(
    store: number,
    method: "open" | "commit" | "purge" | "close",
    changes?: SentChange[],
  ): Promise<Outcome>;
  /** Opens a Kms on a store of its own, and seals and opens with a key that outlives it. */
  useKms(name: string, root: "passphrase" | "cryptoKey" | "wrong"): Promise<string>;
  /** Runs base64 through a stream under a store's keys, opened with the root key's bytes. */
  crypt(
    name: string,
    rootKey: string,
    keyId: string,
    how: "encrypt" | "decrypt",
    input: string,
  ): Promise<string>;
  /** Starts a commit and gives no answer. */
  commitAndForget(store: number, changes: SentChange[]): void;
  makeForeign(name: string, version: number, records: string): Promise<void>;
}

const stores: KeyStore[] = [];

function fromBase64(text: string): Uint8Array {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

function toBase64(bytes: Uint8Array): string {
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary);
}

async function outcomeOf(work: () => Promise<Outcome>): Promise<Outcome> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof KmsError) return { error: { code: error.code, message: error.message } };
    throw error;
  }
}

const received = (changes: SentChange[]): StoreChange[] =>
  changes.map((change) =>
    change.action === "put" ? { ...change, bytes: fromBase64(change.bytes) } : change,
  ) as StoreChange[];

const passphrase = "correct horse battery staple";

const page: StorePage = {
  make: (name) => stores.push(indexedDbStore({ name })) - 1,
  call: (index, method, changes = []) =>
    outcomeOf(async () => {
      const store = stores[index];
      if (store === undefined) throw new Error("no such store");
      if (method === "commit") await store.commit(received(changes));
      else if (method === "purge") await store.purge();
      else if (method === "close") await store.close();
      else {
        const rows = await store.open();
        return { records: rows.map(({ kind, id, bytes }) => ({ kind, id, bytes: toBase64(bytes) })) };
      }
      return {};
    }),
  async useKms(name, root) {
    const rootKey =
      root === "cryptoKey"
        ? { cryptoKey: await indexedDbRootKey({ name }) }
        : { passphrase: root === "wrong" ? "wrong" : passphrase };
    let kms: Kms;
    try {
      kms = await Kms.open({ store: indexedDbStore({ name }), rootKey });
    } catch (error) {
      return (error as KmsError).code;
    }
    const known = localStorage.getItem(name);
    const { keyId } =
      known === null ? await kms.createKey() : ((await kms.listKeys()).keys[0] ?? { keyId: "" });
    const { ciphertextBlob } =
      known === null
        ? await kms.advanceEncrypt({ keyId, plaintext: new TextEncoder().encode("kept") })
        : { ciphertextBlob: Uint8Array.from(JSON.parse(known) as number[]) };
    localStorage.setItem(name, JSON.stringify(Array.from(ciphertextBlob)));
    const { plaintext } = await kms.advanceDecrypt({ ciphertextBlob });
    await kms.close();
    return new TextDecoder().decode(plaintext);
  },
  async crypt(name, rootKey, keyId, how, input) {
    const kms = await Kms.open({ store: indexedDbStore({ name }), rootKey: { bytes: fromBase64(rootKey) } });
    const options = { encryptionContext: { host: "db1" } };
    const stream =
      how === "encrypt" ? encryptStream(kms, { keyId, ...options }) : decryptStream(kms, options);
    const body = new Blob([fromBase64(input) as Uint8Array<ArrayBuffer>])
      .stream()
      .pipeThrough(stream as ReadableWritablePair<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>);
    const output = new Uint8Array(await new Response(body).arrayBuffer());
    await kms.close();
    return toBase64(output);
  },
  commitAndForget: (index, changes) => {
    void stores[index]?.commit(received(changes));
  },
  makeForeign: (name, version, records) =>
    new Promise((resolve, reject) => {
      const request = indexedDB.open(`keyplane ${name}`, version);
      request.onupgradeneeded = () => void request.result.createObjectStore(records);
      request.onerror = () => reject(request.error);
      request.onsuccess = () => {
        request.result.close();
        resolve();
      };
    }),
};

(globalThis as unknown as { page: StorePage }).page = page;
