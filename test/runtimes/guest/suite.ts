/** The suite that every runtime runs, over a library passed in: checks and sealing, or opening what others sealed. */

import { checkEngine } from "./engine-checks.ts";
import { checkKms } from "./kms-checks.ts";
import type { Role, Sealed, SuiteReport, SuiteRequest } from "./protocol.ts";
import {
  Checks,
  codeOf,
  fromHex,
  is,
  type Library,
  patterned,
  rowsStore,
  same,
  through,
  toHex,
  utf8,
} from "./support.ts";

type Kms = Awaited<ReturnType<Library["Kms"]["open"]>>;

const MESSAGE = utf8("sealed in one runtime, opened in every other");
const CONTEXT = { from: "any", to: "every" };
const STREAM_LENGTH = 70_000;

/** Runs what the request asks for; never throws but for a request it cannot read. */
export async function runSuite(library: Library, request: SuiteRequest): Promise<SuiteReport> {
  const checks = new Checks();
  const engines: Record<string, string> = {};
  const refused: string[] = [];
  let sealed: Sealed | undefined;
  const withKms = async (use: (kms: Kms) => Promise<void>): Promise<void> => {
    const store = rowsStore(request.rows);
    const kms = await library.Kms.open({
      store: store as never,
      rootKey: { bytes: fromHex(request.rootKey) },
    });
    await use(kms);
    await kms.close();
    const late = await codeOf(library, () => kms.generateRandom({ length: 1 }));
    is(late, "Rejected.Closed", "a call after close");
  };
  if (request.open !== undefined) {
    const all = request.open;
    await checks.run("opening", () =>
      withKms(async (kms) => {
        for (const other of all)
          await checks.run(`opens ${other.by}`, () => openSealed(library, kms, request, other));
      }),
    );
    return { runtime: request.runtime, engines, passed: checks.passed, failed: checks.failed, refused };
  }
  for (const name of request.engines) {
    await checks.run(`${name}: loads`, async () => {
      const engine = await library.loadEngine(name as "wasm");
      engines[name] = engine.build;
      refused.push(...(await checkEngine(library, engine, request.answers, checks)));
      engine.close();
    });
  }
  await checks.run("kms: opens the shared store and closes", () =>
    withKms(async (kms) => {
      refused.push(...(await checkKms(library, kms, request, checks)));
      await checks.run("sealing", async () => {
        sealed = await sealAll(library, kms, request);
      });
    }),
  );
  const wrongRoot = await codeOf(library, () =>
    library.Kms.open({ store: rowsStore(request.rows) as never, rootKey: { bytes: new Uint8Array(32) } }),
  );
  await checks.run("kms: another root key does not open the store", () =>
    is(wrongRoot, "InvalidRootKey", "code"),
  );
  return {
    runtime: request.runtime,
    engines,
    passed: checks.passed,
    failed: checks.failed,
    refused,
    ...(sealed === undefined ? {} : { sealed }),
  };
}

const SIGNERS: readonly Role[] = ["p256", "secp256k1", "rsa"];

async function sealAll(library: Library, kms: Kms, { runtime, keyIds }: SuiteRequest): Promise<Sealed> {
  const keyId = keyIds.aes256;
  const advance = await kms.advanceEncrypt({ keyId, plaintext: MESSAGE, encryptionContext: CONTEXT });
  const detached = await kms.encrypt({ keyId: keyIds.aes128, plaintext: MESSAGE, aad: utf8(runtime) });
  const dataKey = await kms.advanceGenerateDataKey({ keyId, encryptionContext: CONTEXT });
  const stream = library.encryptStream(kms, { keyId, encryptionContext: CONTEXT });
  const signatures: Partial<Record<Role, string>> = {};
  for (const role of SIGNERS) {
    const code = await codeOf(library, async () => {
      signatures[role] = toHex((await kms.sign({ keyId: keyIds[role], message: MESSAGE })).signature);
    });
    if (code !== "none" && code !== "Rejected.UnsupportedOperation") throw new Error(`${role}: ${code}`);
  }
  return {
    by: runtime,
    advance: toHex(advance.ciphertextBlob),
    detached: { ciphertextBlob: toHex(detached.ciphertextBlob), iv: toHex(detached.iv ?? new Uint8Array(0)) },
    dataKey: { ciphertextBlob: toHex(dataKey.ciphertextBlob), plaintext: toHex(dataKey.plaintext) },
    stream: toHex(await through(patterned(STREAM_LENGTH), stream)),
    signatures,
    mac: toHex((await kms.generateMac({ keyId: keyIds.hmac, message: MESSAGE })).mac),
  };
}

async function openSealed(
  library: Library,
  kms: Kms,
  { keyIds }: SuiteRequest,
  { by, advance, detached, dataKey, stream, signatures, mac }: Sealed,
): Promise<void> {
  const encryptionContext = CONTEXT;
  const opened = await kms.advanceDecrypt({ ciphertextBlob: fromHex(advance), encryptionContext });
  same(opened.plaintext, MESSAGE, "advance");
  const plain = await kms.decrypt({
    keyId: keyIds.aes128,
    ciphertextBlob: fromHex(detached.ciphertextBlob),
    iv: fromHex(detached.iv),
    aad: utf8(by),
  });
  same(plain.plaintext, MESSAGE, "detached");
  const unwrapped = await kms.advanceDecrypt({
    ciphertextBlob: fromHex(dataKey.ciphertextBlob),
    encryptionContext,
  });
  same(unwrapped.plaintext, dataKey.plaintext, "data key");
  const file = await through(fromHex(stream), library.decryptStream(kms, { encryptionContext }));
  same(file, patterned(STREAM_LENGTH), "stream");
  for (const role of SIGNERS) {
    const signature = signatures[role];
    if (signature === undefined) continue;
    const code = await codeOf(library, async () => {
      const { value } = await kms.verify({
        keyId: keyIds[role],
        message: MESSAGE,
        signature: fromHex(signature),
      });
      is(value, true, `${role} signature`);
    });
    if (code !== "Rejected.UnsupportedOperation") is(code, "none", role);
  }
  is((await kms.verifyMac({ keyId: keyIds.hmac, message: MESSAGE, mac: fromHex(mac) })).value, true, "mac");
}
