/** The page: opens a Kms on keys that this browser keeps, and wires the forms to it. */

import { Kms } from "keyplane";
import { indexedDbRootKey, indexedDbStore } from "keyplane/stores/indexeddb";
import { showBlob } from "./anatomy.js";
import { wireBench } from "./bench.js";
import { element, fromHex, make, say, toHex, wordsOf } from "./dom.js";
import { wireFiles } from "./files.js";

const STORE = { name: "page" };
const SIGNING = new Set(["EC_P256", "EC_P256K", "RSA_2048"]);
const KINDS = {
  Aliyun_AES_256: "AES-256",
  Aliyun_AES_128: "AES-128",
  EC_P256: "EC P-256",
  EC_P256K: "EC secp256k1",
  RSA_2048: "RSA-2048",
};

let kms;
/** The last blob of the text form. */
let blob;

/** Opens the keys of this browser; in memory where there is no store to be had. */
async function open() {
  try {
    kms = await Kms.open({
      store: indexedDbStore(STORE),
      rootKey: { cryptoKey: await indexedDbRootKey(STORE) },
    });
    element("fact-store").textContent = "in this browser, under a root key that cannot be exported";
  } catch (error) {
    kms = await Kms.open();
    const isHeld = error?.code === "ServiceUnavailableTemporary";
    element("fact-store").textContent = isHeld ? "in memory: another tab holds the store" : "in memory";
  }
  element("fact-engine").textContent =
    kms.engine === "wasm" ? "WebAssembly kernels" : "WebCrypto, without WebAssembly";
}

/** Reads every key's facts. */
async function listKeys() {
  const { keys } = await kms.listKeys({ pageSize: 100 });
  return Promise.all(
    keys.map(async ({ keyId }) => {
      const { keyMetadata } = await kms.describeKey({ keyId });
      const { totalCount } = SIGNING.has(keyMetadata.keySpec)
        ? { totalCount: 1 }
        : await kms.listKeyVersions({ keyId });
      return { keyId, spec: keyMetadata.keySpec, versions: totalCount };
    }),
  );
}

function fill(select, keys) {
  const chosen = select.value;
  select.replaceChildren(
    ...keys.map(({ keyId, spec }) => make("option", { value: keyId }, `${keyId} · ${KINDS[spec] ?? spec}`)),
  );
  if (keys.length === 0) select.append(make("option", { value: "" }, "No such key yet"));
  if (keys.some(({ keyId }) => keyId === chosen)) select.value = chosen;
}

async function showKeys() {
  const keys = await listKeys();
  const rows = keys.map(({ keyId, spec, versions }) => {
    const rotate = make(
      "button",
      { type: "button", class: "quiet", "aria-label": `Rotate ${keyId}` },
      "Rotate",
    );
    rotate.addEventListener("click", () =>
      attempt("keys-status", async () => {
        await kms.rotateKey({ keyId });
        await showKeys();
        say(
          "keys-status",
          "Rotated: new text is sealed under the new version, old text still opens.",
          "good",
        );
      }),
    );
    const actions = SIGNING.has(spec) ? [] : [rotate];
    return make(
      "tr",
      {},
      make("td", {}, keyId),
      make("td", {}, KINDS[spec] ?? spec),
      make("td", { class: "wide" }, String(versions)),
      make("td", {}, ...actions),
    );
  });
  const none = make("tr", {}, make("td", { colspan: "4", class: "empty" }, "No keys yet."));
  element("key-rows").replaceChildren(...(rows.length === 0 ? [none] : rows));
  for (const select of document.querySelectorAll(".aes-keys"))
    fill(
      select,
      keys.filter(({ spec }) => !SIGNING.has(spec)),
    );
  for (const select of document.querySelectorAll(".signing-keys"))
    fill(
      select,
      keys.filter(({ spec }) => SIGNING.has(spec)),
    );
}

async function attempt(statusId, work) {
  try {
    await work();
  } catch (error) {
    say(statusId, wordsOf(error), "bad");
  }
}

function context() {
  const name = element("context-name").value;
  return name === "" ? {} : { encryptionContext: { [name]: element("context-value").value } };
}

const encoder = new TextEncoder();

function wireKeys() {
  element("create-form").addEventListener("submit", (event) => {
    event.preventDefault();
    return attempt("keys-status", async () => {
      const keySpec = element("spec").value;
      say("keys-status", keySpec === "RSA_2048" ? "Looking for two primes…" : "Creating…");
      const { keyId } = await kms.createKey({ keySpec });
      await showKeys();
      for (const select of document.querySelectorAll("select")) {
        if ([...select.options].some(({ value }) => value === keyId)) select.value = keyId;
      }
      say("keys-status", `${keyId} is ready.`, "good");
    });
  });
  element("forget").addEventListener("click", () =>
    attempt("keys-status", async () => {
      await kms.close();
      await new Promise((resolve) => {
        const request = indexedDB.deleteDatabase(`keyplane ${STORE.name}`);
        request.onsuccess = request.onerror = request.onblocked = resolve;
      });
      await open();
      await showKeys();
      say("keys-status", "Forgotten. What was sealed under those keys is lost for good.", "good");
    }),
  );
}

function wireText() {
  element("text-form").addEventListener("submit", (event) => {
    event.preventDefault();
    return attempt("text-status", async () => {
      const keyId = element("text-key").value;
      if (keyId === "") return say("text-status", "Create an AES key first.", "bad");
      const plaintext = encoder.encode(element("plaintext").value);
      ({ ciphertextBlob: blob } = await kms.advanceEncrypt({ keyId, plaintext, ...context() }));
      showBlob(blob);
      say("text-status", `Sealed: ${blob.length} bytes, shown below.`, "good");
    });
  });
  element("decrypt").addEventListener("click", () =>
    attempt("text-status", async () => {
      if (blob === undefined) return say("text-status", "Encrypt something first.", "bad");
      const { plaintext } = await kms.advanceDecrypt({ ciphertextBlob: blob, ...context() });
      say("text-status", `Opened: “${new TextDecoder().decode(plaintext)}”`, "good");
      plaintext.fill(0);
    }),
  );
  element("flip").addEventListener("click", () => {
    if (blob === undefined) return say("text-status", "Encrypt something first.", "bad");
    const at = 36 + Math.floor(Math.random() * (blob.length - 36));
    blob[at] ^= 1;
    showBlob(blob);
    return say("text-status", `The last bit of byte ${at} is flipped. Try to decrypt.`);
  });
}

function wireSigning() {
  const message = () => encoder.encode(element("message").value);
  element("sign-form").addEventListener("submit", (event) => {
    event.preventDefault();
    return attempt("sign-status", async () => {
      const keyId = element("sign-key").value;
      if (keyId === "") return say("sign-status", "Create a key that signs first.", "bad");
      const { signature, algorithm } = await kms.sign({ keyId, message: message() });
      element("signature").value = toHex(signature);
      say("sign-status", `Signed with ${algorithm}: ${signature.length} bytes.`, "good");
    });
  });
  element("verify").addEventListener("click", () =>
    attempt("sign-status", async () => {
      const keyId = element("sign-key").value;
      const signature = fromHex(element("signature").value);
      if (keyId === "" || signature === undefined) {
        return say("sign-status", "Verifying takes a key and a signature in hexadecimal.", "bad");
      }
      const { value } = await kms.verify({ keyId, message: message(), signature });
      say(
        "sign-status",
        value ? "The signature is good." : "The signature is not good.",
        value ? "good" : "bad",
      );
    }),
  );
}

wireKeys();
wireText();
wireSigning();
wireFiles(() => kms);
wireBench();
await open();
await showKeys();
document.documentElement.dataset.ready = "true";
