/** `keyplane inspect`: what a ciphertext says about itself. Nothing is opened, so nothing of it is certain. */

import { existsSync } from "node:fs";
import type { Command } from "commander";
import { BLOB_FORMAT_VERSION, parseBlob } from "../envelope/ciphertext-blob.ts";
import { formatKeyVersionId } from "../envelope/key-version-id.ts";
import {
  frameLength,
  isStreamStart,
  MAX_DATA_KEY_BLOB_LENGTH,
  parseStreamPrefix,
  STREAM_FORMAT_VERSION,
  STREAM_PREFIX_LENGTH,
} from "../envelope/streaming-format.ts";
import { invalidCiphertext } from "../errors.ts";
import { openInput, peek } from "./input.ts";
import type { GlobalOptions, Run } from "./options.ts";
import { factLines, printResult } from "./report.ts";
import { rootKeySource } from "./root-key.ts";
import { storeFile, withKms } from "./session.ts";

const MAX_HEADER_LENGTH: number = STREAM_PREFIX_LENGTH + MAX_DATA_KEY_BLOB_LENGTH;

export function addInspectCommand(program: Command, run: Run): void {
  program
    .command("inspect [file]")
    .description(
      "show format and key version of a ciphertext; its key too if the store and root key are named",
    )
    .action(async (file: string | undefined, _: object, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions>();
      const input = await openInput(file, run.signal);
      const { start, stream } = await peek(input.stream, MAX_HEADER_LENGTH);
      await stream.cancel();
      const { blob, ...facts } = inspectStart(start);
      const keyId = await findKey(options, blob, run);
      const result = { ...facts, ...(keyId === undefined ? {} : { keyId }), authenticated: false };
      printResult(options.json, result, factLines(result));
    });
}

/** What can be read without a key. */
interface Facts {
  readonly format: "stream" | "ciphertext-blob";
  readonly formatVersion: number;
  readonly algorithm: string;
  /** Bytes of plaintext in a frame of a stream. */
  readonly frameLength?: number;
  readonly keyVersionId: string;
  /** The part that a Kms can look up. */
  readonly blob: Uint8Array;
}

/** @throws KmsError `InvalidCiphertext` when it is neither a stream nor a CiphertextBlob of this release */
function inspectStart(start: Uint8Array): Facts {
  if (!isStreamStart(start)) {
    const facts = {
      format: "ciphertext-blob",
      formatVersion: BLOB_FORMAT_VERSION,
      algorithm: "AES_GCM",
    } as const;
    return { ...facts, ...blobFacts(start) };
  }
  const prefix = parseStreamPrefix(start);
  if (prefix === undefined) throw invalidCiphertext();
  const end = STREAM_PREFIX_LENGTH + prefix.dataKeyBlobLength;
  return {
    format: "stream",
    formatVersion: STREAM_FORMAT_VERSION,
    algorithm: "AES_256_GCM frames",
    frameLength: frameLength(prefix.frameExponent),
    ...blobFacts(start.subarray(STREAM_PREFIX_LENGTH, end)),
  };
}

function blobFacts(blob: Uint8Array): Pick<Facts, "keyVersionId" | "blob"> {
  const parts = parseBlob(blob);
  if (parts === undefined) throw invalidCiphertext();
  return { keyVersionId: formatKeyVersionId(parts.keyVersionId), blob };
}

/** Asks the store for the key, if there is one and a root key is named; asks nobody for a passphrase. */
async function findKey(
  options: GlobalOptions,
  ciphertextBlob: Uint8Array,
  run: Run,
): Promise<string | undefined> {
  if (rootKeySource(options) === undefined || !existsSync(storeFile(options))) return undefined;
  return withKms(options, run.signal, async (kms) => (await kms.inspect({ ciphertextBlob })).keyId);
}
