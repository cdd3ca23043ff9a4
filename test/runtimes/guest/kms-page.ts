/** Guest in a page: walks through a Kms that runs in a worker, and looks at what its calls leave on this side. */

import { KmsError } from "keyplane";
import { connectKms } from "keyplane/worker";
import { checkKms } from "./kms-checks.ts";
import { library } from "./library.ts";
import type { SuiteReport, SuiteRequest } from "./protocol.ts";
import { Checks, codeOf, is, patterned, same } from "./support.ts";

const worker = (name: string): Worker => new Worker(new URL(name, import.meta.url), { type: "module" });

async function keyplaneSuite(_place: string, json: string): Promise<string> {
  const request = JSON.parse(json) as SuiteRequest;
  const { rows, rootKey, keyIds } = request;
  const checks = new Checks();
  const host = worker("./kms-worker.js");

  await checks.run("a wrong root key is refused, and the next page is heard", async () => {
    const setup = { rows, rootKey: rootKey.replaceAll(/./g, "0") };
    is(await codeOf(library, () => connectKms(host, { setup })), "InvalidRootKey", "root key");
  });

  await checks.run("a script that is not there is told", async () => {
    is(
      await codeOf(library, () => connectKms(worker("./missing.js"))),
      "ServiceUnavailableTemporary",
      "script",
    );
  });

  const kms = await connectKms(host, { setup: { rows, rootKey } });
  const refused = await checkKms(library, kms as never, request, checks, { isRemote: true });

  await checks.run(
    "the page stays free while the worker makes an RSA key, which it tells about",
    async () => {
      let beats = 0;
      const timer = setInterval(() => beats++, 5);
      const told: number[] = [];
      await kms.generateDataKeyPairWithoutPlaintext(
        { keyId: keyIds.aes256, keyPairSpec: "RSA_2048", keyFormat: "DER" },
        { onProgress: (fraction) => told.push(fraction) },
      );
      clearInterval(timer);
      is(beats > 3, true, "beats");
      is(told.length > 0 && told.every((fraction) => fraction >= 0 && fraction <= 1), true, "progress");
    },
  );

  await checks.run("a signal ends a call with its reason, before it starts and while it runs", async () => {
    const spec = { keyId: keyIds.aes256, keyPairSpec: "RSA_4096", keyFormat: "DER" } as const;
    const reason = new Error("enough");
    const fate = (call: Promise<unknown>): Promise<unknown> =>
      call.then(
        () => "answered",
        (error: unknown) => error,
      );
    is(await fate(kms.generateDataKeyPair(spec, { signal: AbortSignal.abort(reason) })), reason, "before");
    const controller = new AbortController();
    const running = fate(kms.generateDataKeyPair(spec, { signal: controller.signal }));
    setTimeout(() => controller.abort(reason), 50);
    is(await running, reason, "while");
    is((await kms.generateRandom({ length: 8 })).random.length, 8, "the next call");
  });

  await checks.run("the caller keeps its bytes, and what cannot be sent is refused", async () => {
    const plaintext = patterned(100_000);
    const sealed = kms.encrypt({ keyId: keyIds.aes256, plaintext });
    plaintext.fill(9);
    const { ciphertextBlob, iv } = await sealed;
    const opened = await kms.decrypt({ keyId: keyIds.aes256, ciphertextBlob, ...(iv && { iv }) });
    same(opened.plaintext, patterned(100_000), "copied in time");
    is(plaintext.length, 100_000, "not taken");
    const foreign = { keyId: keyIds.aes256, plaintext, callback: () => undefined };
    is(await codeOf(library, () => kms.encrypt(foreign as never)), "InvalidParameter", "function");
  });

  await checks.run("closing it ends every call after", async () => {
    await kms.close();
    await kms.close();
    is(await codeOf(library, () => kms.generateRandom({ length: 8 })), "Rejected.Closed", "closed here");
    is(await codeOf(library, () => kms.listKeys()), "Rejected.Closed", "no request");
    is(new KmsError("Rejected.Closed", "").httpStatus, 409, "status");
  });

  const spec = { keyId: keyIds.aes256, keyPairSpec: "RSA_4096", keyFormat: "DER" } as const;
  await checks.run("closing it ends calls under way, and who connects then has it opened anew", async () => {
    const again = await connectKms(host, { setup: { rows, rootKey } });
    const running = codeOf(library, () => again.generateDataKeyPair(spec));
    await again.close();
    is(await running, "Rejected.Closed", "under way");
  });

  await checks.run("an error that the worker does not catch ends every call", async () => {
    const again = await connectKms(host, { setup: { rows, rootKey } });
    const running = codeOf(library, () => again.generateDataKeyPair(spec));
    host.postMessage("throw");
    is(await running, "ServiceUnavailableTemporary", "under way");
    is(await codeOf(library, () => again.listKeys()), "ServiceUnavailableTemporary", "after");
  });

  await checks.run("terminating the worker ends every call", async () => {
    const again = await connectKms(host, { setup: { rows, rootKey } });
    const running = codeOf(library, () => again.generateDataKeyPair(spec));
    host.terminate();
    is(await running, "ServiceUnavailableTemporary", "under way");
    is(await codeOf(library, () => again.close()), "ServiceUnavailableTemporary", "close");
  });

  await checks.run("terminating a worker ends the wait for a Kms that is not open yet", async () => {
    const other = worker("./kms-worker.js");
    const connecting = codeOf(library, () => connectKms(other, { setup: "never" }));
    setTimeout(() => other.terminate(), 1500);
    is(await connecting, "ServiceUnavailableTemporary", "connecting");
  });

  const { passed, failed } = checks;
  const report: SuiteReport = {
    runtime: request.runtime,
    engines: { kms: kms.engine },
    passed,
    failed,
    refused,
  };
  return JSON.stringify(report);
}

Object.assign(globalThis, { keyplaneSuite });
