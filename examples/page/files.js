/** Encrypts and decrypts files as streams: a frame at a time, with progress, and nothing kept of a file that fails. */

import { decryptStream, encryptStream } from "keyplane/stream";
import { element, make, say, wordsOf } from "./dom.js";

/** Counts what passes. */
function counter(onBytes) {
  let passed = 0;
  return new TransformStream({
    transform(chunk, controller) {
      passed += chunk.length;
      onBytes(passed);
      controller.enqueue(chunk);
    },
  });
}

/** Runs a file through a stream. The parts are Blobs, which browsers may keep on disk. */
async function run(file, stream, signal, onProgress) {
  const parts = [];
  const collector = new WritableStream({
    write(chunk) {
      parts.push(new Blob([chunk]));
    },
  });
  await file
    .stream()
    .pipeThrough(
      counter((passed) => onProgress(file.size === 0 ? 1 : passed / file.size)),
      { signal },
    )
    .pipeThrough(stream, { signal })
    .pipeTo(collector, { signal });
  return new Blob(parts, { type: "application/octet-stream" });
}

function offer(blob, name) {
  const url = URL.createObjectURL(blob);
  const link = make(
    "a",
    { href: url, download: name },
    `Save ${name} (${blob.size.toLocaleString("en")} bytes)`,
  );
  element("file-result").replaceChildren(link);
}

/** @param kms gives the open Kms */
export function wireFiles(kms) {
  const cancel = element("file-cancel");
  let controller;
  cancel.addEventListener("click", () => controller?.abort(new DOMException("Cancelled.", "AbortError")));
  element("file-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    const isDecryption = event.submitter?.value === "decrypt";
    const file = element("file").files[0];
    if (file === undefined) return say("file-status", "Choose a file first.", "bad");
    const keyId = element("file-key").value;
    if (keyId === "" && !isDecryption) return say("file-status", "Create an AES key first.", "bad");
    controller = new AbortController();
    cancel.hidden = false;
    element("file-progress").hidden = false;
    const link = element("file-result").querySelector("a");
    if (link !== null) URL.revokeObjectURL(link.href);
    element("file-result").replaceChildren();
    say("file-status", isDecryption ? "Decrypting…" : "Encrypting…");
    try {
      const stream = isDecryption ? decryptStream(kms()) : encryptStream(kms(), { keyId });
      const blob = await run(file, stream, controller.signal, (fraction) => {
        element("file-bar").value = fraction;
      });
      offer(blob, isDecryption ? file.name.replace(/\.kstr$/, "") || "plaintext" : `${file.name}.kstr`);
      say(
        "file-status",
        isDecryption ? "Every frame was authentic, and the file is whole." : "Encrypted.",
        "good",
      );
    } catch (error) {
      say("file-status", wordsOf(error), "bad");
    } finally {
      cancel.hidden = true;
      element("file-progress").hidden = true;
    }
  });
}
