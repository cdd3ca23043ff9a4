/**
 * Defects that the tests must find, each a bug that was made elsewhere or nearly here.
 *
 *     name     what is wrong, in words
 *     file     where; a file below assembly/ has the kernels built anew
 *     find     the text to replace; it must occur exactly once, or the entry is stale
 *     replace  the defect; it must compile
 *     tests    test files every one of which must fail
 */

const MODEL = "test/keys/lifecycle-model.test.ts";
const COUNTER = "test/keys/usage-counter.test.ts";
const DELETION = "test/keys/deletion.test.ts";
const STATES = "test/keys/key-state.test.ts";
const CLOSE = "test/keys/close.test.ts";
const CONCURRENCY = "test/keys/concurrency.test.ts";
const CONTROL = "test/keys/control-plane.test.ts";
const SQLITE = "test/stores/lifecycle-sqlite.test.ts";
const GCM = "test/engines/aes-gcm-conformance.test.ts";
const DER = "test/engines/der.test.ts";
const SCRATCH = "test/envelope/scratch.test.ts";
const BLOB = "test/envelope/ciphertext-blob.test.ts";
const CONTEXT = "test/envelope/encryption-context.test.ts";
const PRODUCERS = "test/operations/producers-and-consumers.test.ts";
const REENCRYPT = "test/operations/re-encrypt.test.ts";
const INVALID = "test/operations/invalid-ciphertext.test.ts";
const BATCH = "test/operations/batch.test.ts";
const ECIES = "test/engines/ecies-conformance.test.ts";
const WAITING = "test/operations/batch-waiting.test.ts";
const FRAMES = "test/engines/wasm/frames-in-place.test.ts";
const WIPING = "test/operations/wiping.test.ts";
const SIGNATURE_BATCHES = "test/operations/signature-batches.test.ts";
const TINY_CURVE = "test/kernel/ec-tiny-curve.test.ts";
const EC_POINTS = "test/kernel/ec-points.test.ts";
const FAULTS = "test/engines/wasm/faults.test.ts";
const VERIFY_SIGNATURES = "test/operations/verify-signatures.test.ts";
const ECIES_CALLS = "test/operations/ecies.test.ts";
const RSA = "test/engines/wasm/rsa-guards.test.ts";
const RSA_ROUTES = "test/engines/rsa-routes.test.ts";

const KEY_TABLES = "test/engines/wasm/key-tables.test.ts";

const SEAL = "src/operations/seal.ts";
const SIGNATURE_STAGE = "src/operations/signature-stage.ts";
const RECORDS = "src/operations/key-records.ts";

export const DEFECTS = [
  // Key versions
  {
    name: "decryption tries the newest version only",
    file: SEAL,
    find: "const key = context.aesGcm(version, lengthOf(blob));",
    replace: "const key = context.aesGcm(version.key.primaryVersion, lengthOf(blob));",
    tests: [MODEL, CONCURRENCY],
  },
  {
    name: "encrypt seals under the primary version",
    file: "src/operations/encrypt.ts",
    find: "  const aad = readAad(context, request.aad, request.encryptionContext);\n  const version = key.initialVersion;",
    replace:
      "  const aad = readAad(context, request.aad, request.encryptionContext);\n  const version = key.primaryVersion;",
    tests: [MODEL, PRODUCERS],
  },
  {
    name: "advanceEncrypt seals under the initial version",
    file: "src/operations/advance-encrypt.ts",
    find: "const version = key.primaryVersion;",
    replace: "const version = key.initialVersion;",
    tests: [MODEL, COUNTER],
  },
  {
    name: "data keys are sealed under the wrong version",
    file: "src/operations/generate-data-key.ts",
    find: 'mode === "detached" ? key.initialVersion : key.primaryVersion',
    replace: 'mode === "detached" ? key.primaryVersion : key.primaryVersion',
    tests: [MODEL],
  },
  {
    name: "rotation stores the new version only",
    file: RECORDS,
    find: "[...key.versions, version]",
    replace: "[version]",
    tests: [MODEL, CONCURRENCY],
  },
  {
    name: "versions before the last three are forgotten",
    file: "src/keys/key-ring.ts",
    find: "    version.key.versions.push(version);\n",
    replace:
      "    version.key.versions.push(version);\n    if (version.key.versions.length > 3) version.key.versions.splice(0, 1);\n",
    tests: [MODEL],
  },
  {
    name: "reEncrypt stays on the source's version",
    file: "src/operations/re-encrypt.ts",
    find: "const destination = destinationKey.primaryVersion;",
    replace: "const destination = destinationKey === source.key ? source : destinationKey.primaryVersion;",
    tests: [MODEL, REENCRYPT],
  },
  // States
  {
    name: "a cancelled deletion leads to Disabled",
    file: "src/keys/key-state.ts",
    find: 'CancelKeyDeletion: row(MODIFIED_FAILED, MODIFIED_FAILED, to("Enabled"), MODIFIED_FAILED)',
    replace: 'CancelKeyDeletion: row(MODIFIED_FAILED, MODIFIED_FAILED, to("Disabled"), MODIFIED_FAILED)',
    tests: [MODEL, STATES],
  },
  {
    name: "a disabled key still works",
    file: "src/keys/key-state.ts",
    find: '  no("Rejected.Disabled"),',
    replace: '  to("Disabled"),',
    tests: [MODEL, STATES],
  },
  {
    name: "a key that is no longer enabled stays usable on the fast path",
    file: "src/keys/key.ts",
    find: '    this.#status = status;\n    this.#usable = status.state === "Enabled" ? this.identity.usage : undefined;',
    replace: "    this.#status = status;\n    this.#usable = this.identity.usage;",
    tests: [MODEL, STATES],
  },
  {
    name: "a key in PendingDeletion can be used",
    file: "src/keys/key-state.ts",
    find: '  no("Rejected.PendingDeletion"),\n  no("Rejected.PendingImport"),',
    replace: '  to("PendingDeletion"),\n  no("Rejected.PendingImport"),',
    tests: [MODEL, STATES],
  },
  {
    name: "state changes are not stored",
    file: RECORDS,
    find: "    await this.#commit([await this.#keyRow(key.identity, status, key.versions)]);\n",
    replace: "",
    tests: [MODEL, CONCURRENCY],
  },
  {
    name: "changes do not take turns",
    file: RECORDS,
    find: "const result = this.#turn.then(() => {",
    replace: "const result = Promise.resolve().then(() => {",
    tests: [CONCURRENCY],
  },
  // Deletion
  {
    name: "the deletion window is counted in days of 23 hours",
    file: "src/operations/change-key-state.ts",
    find: "const DAY_MS = 86_400_000;",
    replace: "const DAY_MS = 82_800_000;",
    tests: [MODEL, DELETION],
  },
  {
    name: "a key outlives its date by an instant",
    file: RECORDS,
    find: "this.#clock() >= deleteAt",
    replace: "this.#clock() > deleteAt",
    tests: [MODEL, DELETION],
  },
  {
    name: "deletion leaves the aliases",
    file: RECORDS,
    find: '      changes.push({ action: "delete", kind: "alias", id: aliasName });\n',
    replace: "      void aliasName;\n",
    tests: [MODEL, DELETION, SQLITE],
  },
  {
    name: "deletion leaves the material",
    file: RECORDS,
    find: '      changes.push({ action: "delete", kind: "version", id: keyVersionId });\n',
    replace: "",
    tests: [DELETION, SQLITE],
  },
  {
    name: "the store is never purged",
    file: RECORDS,
    find: "    this.#purgeDue = true;\n",
    replace: "",
    tests: [DELETION],
  },
  {
    name: "a crash makes a purge forgotten",
    file: RECORDS,
    find: "    this.#purgeDue = rows.some((row) => row.kind === PURGE_DUE.kind && row.id === PURGE_DUE.id);\n",
    replace: "",
    tests: [DELETION],
  },
  {
    name: "an alias outlives the date of its key",
    file: "src/operations/aliases.ts",
    find: "return key !== undefined && context.records.isGone(key);",
    replace: "return key === undefined && context === undefined;",
    tests: [MODEL, DELETION],
  },
  {
    name: "handles of a deleted key are kept",
    file: RECORDS,
    find: "    for (const version of key.versions) this.#router.forget(version);\n",
    replace: "",
    tests: [DELETION],
  },
  {
    name: "a blob of a key whose date has come opens",
    file: SEAL,
    find: "version?.usage === undefined || context.records.isGone(version.key)",
    replace: "version?.usage === undefined",
    tests: [MODEL, DELETION],
  },
  // Aliases
  {
    name: "updateAlias changes nothing",
    file: "src/operations/aliases.ts",
    find: "setAlias({ ...alias, keyId: key.keyId })",
    replace: "setAlias({ ...alias })",
    tests: [MODEL, CONTROL],
  },
  {
    name: "an ARN of another region names a key",
    file: "src/keys/key-id.ts",
    find: "return reference.startsWith(prefix) ? reference.slice(prefix.length) : reference;",
    replace:
      'return reference.slice(reference.lastIndexOf(":key/") < 0 ? 0 : reference.lastIndexOf(":key/") + 5) || prefix;',
    tests: [MODEL, CONTROL],
  },
  // Usage counter
  {
    name: "counter: the limit is one too high",
    file: "src/keys/usage-counter.ts",
    find: "if (this.#reserved >= this.limit) return undefined;",
    replace: "if (this.#reserved > this.limit) return undefined;",
    tests: [COUNTER],
  },
  {
    name: "counter: starts anew when the store is opened",
    file: RECORDS,
    find: "new UsageCounter(decodeUsageRecord(opened), this.#usageLimit)",
    replace: "new UsageCounter(decodeUsageRecord(opened) * 0, this.#usageLimit)",
    tests: [MODEL, COUNTER],
  },
  {
    name: "counter: a reservation is used before it is stored",
    file: RECORDS,
    find: "    const pending = committed\n",
    replace: "    usage.reserved(count);\n    const pending = committed\n",
    tests: [COUNTER],
  },
  {
    name: "counter: a failed reservation counts as made",
    file: RECORDS,
    find: "      .then(() => usage.reserved(count))",
    replace:
      "      .then(\n        () => usage.reserved(count),\n        () => usage.reserved(count),\n      )",
    tests: [COUNTER],
  },
  {
    name: "counter: sealing is not counted",
    file: SEAL,
    find: "const counted = context.records.countUse(version, context.mayWait);",
    replace:
      "const counted = version === undefined ? context.records.countUse(version, context.mayWait) : undefined;",
    tests: [MODEL, COUNTER],
  },
  {
    name: "counter: a clean close loses the block",
    file: RECORDS,
    find: "if (exact !== undefined) counts.push",
    replace: "if (exact === -1) counts.push",
    tests: [MODEL, COUNTER],
  },
  // Closing
  {
    name: "close: what it overtook goes on",
    file: RECORDS,
    find: "    this.#closed = true;\n",
    replace: "",
    tests: [CLOSE],
  },
  // Authentication
  {
    name: "aad: neither mode authenticates it",
    file: "src/envelope/ciphertext-blob.ts",
    find: "  frame.set(aad, 0);\n",
    replace: "",
    tests: [MODEL, BLOB],
  },
  {
    name: "aad: both modes have the same frame",
    file: "src/envelope/ciphertext-blob.ts",
    find: "{ detached: 1, advance: 2 }",
    replace: "{ detached: 2, advance: 2 }",
    tests: [BLOB],
  },
  {
    name: "aad: the header is not bound",
    file: "src/envelope/ciphertext-blob.ts",
    find: "  copyShort(header, 0, frame, headerStart, BLOB_HEADER_LENGTH);\n",
    replace: "",
    tests: [BLOB],
  },
  {
    name: "frame: the zeros of a reused frame are not written again",
    file: "src/envelope/ciphertext-blob.ts",
    find: "  for (let i = aadLength + 1; i < headerStart; i++) frame[i] = 0;\n",
    replace: "",
    tests: [BLOB, SCRATCH],
  },
  {
    name: "frame: a reused frame keeps the mode before",
    file: "src/envelope/frame-scratch.ts",
    find: " && this.#mode === mode",
    replace: "",
    tests: [SCRATCH],
  },
  {
    name: "context: the cache compares names only",
    file: "src/envelope/encryption-context.ts",
    find: "      if (own !== values[i]) {",
    replace: "      if (own === undefined) {",
    tests: [SCRATCH],
  },
  {
    name: "context: a changed value is put where it stands only in order",
    file: "src/envelope/encryption-context.ts",
    find: "    if (!this.#isPlain || last.length",
    replace: "    if (last.length",
    tests: [SCRATCH],
  },
  {
    name: "frames: another context of the same length is taken for the frame in place",
    file: "src/envelope/frame-scratch.ts",
    find: "    this.revision += 1;\n",
    replace: "",
    tests: [FRAMES],
  },
  {
    name: "frames: a single message does not displace the frame",
    file: "src/engines/wasm/aes-gcm-messages.ts",
    find: "    this.#contexts.frame = undefined;\n    this.#aad.set(",
    replace: "    this.#aad.set(",
    tests: [FRAMES],
  },
  {
    name: "frames: a run that was opened does not displace the end of the frame",
    file: "src/engines/wasm/aes-gcm-messages.ts",
    find: "    contexts.frameWhole = false;\n    setBytes(this.#window, run",
    replace: "    setBytes(this.#window, run",
    tests: [FRAMES],
  },
  {
    name: "frames: a call that ended half way leaves its frame in place",
    file: "src/engines/wasm/aes-gcm-messages.ts",
    find: "    contexts.frameWhole = false;\n    if (!isPlaced)",
    replace: "    contexts.frameWhole = true;\n    if (!isPlaced)",
    tests: [FRAMES],
  },
  {
    name: "frames: the length of a plaintext is what its property says",
    file: "src/operations/seal.ts",
    find: "  const length = lengthOf(plaintext);\n  const key",
    replace: "  const length = plaintext.length;\n  const key",
    tests: ["test/operations/caller-memory.test.ts"],
  },
  {
    name: "frames: the hash of AAD that stays outlives its key",
    file: "assembly/aes-gcm/gcm-simd.ts",
    find: "  forgetKept();\n  expandKeyPermute",
    replace: "  expandKeyPermute",
    tests: ["test/kernel/aes-gcm-arena.test.ts"],
  },
  {
    name: "batches: messages share AAD of different lengths",
    file: "assembly/aes-gcm/batch.ts",
    find: "  return load<u32>(each, AAD_LENGTH) === load<u32>(each - DESCRIPTION_LENGTH, AAD_LENGTH) ? 1 : 0;",
    replace: "  return 1;",
    tests: ["test/kernel/aes-gcm-arena.test.ts"],
  },
  {
    name: "batches: eight messages are hashed as sharing when one of them does not",
    file: "assembly/aes-gcm/batch.ts",
    find: "    if (i !== 0 && staysOf(one, first) !== (shared !== 0 ? 1 : 0)) return 0;\n",
    replace: "",
    tests: ["test/kernel/aes-gcm-arena.test.ts"],
  },
  {
    name: "batches: a message is gathered before one that it overwrites",
    file: "assembly/aes-gcm/batch.ts",
    find: "    if (from < to) return 0;\n",
    replace: "",
    tests: ["test/kernel/aes-gcm-arena.test.ts"],
  },
  {
    name: "batches: the verdict of a message tells that the AAD of the next one stays",
    file: "src/engines/wasm/aes-gcm-batch.ts",
    find: "    batch.setUint32(at + STAYS, 0, true);\n",
    replace: "",
    tests: ["test/kernel/aes-gcm-builds.test.ts"],
  },
  {
    name: "packed: the verdict of a record tells that the AAD of the next one stays",
    file: "assembly/aes-gcm/batch.ts",
    find: "      store<u32>(description, 0, STAYS);\n",
    replace: "",
    tests: ["test/kernel/aes-gcm-builds.test.ts"],
  },
  {
    name: "stage: a frame that changed is taken for the one before",
    file: "src/engines/wasm/aes-gcm-stage.ts",
    find: "frame === this.#lastFrame && revision === this.#lastRevision;",
    replace: "frame === this.#lastFrame;",
    tests: ["test/engines/wasm/seal-stage.test.ts"],
  },
  {
    name: "runs: the iv of the message before is used again",
    file: "src/engines/wasm/aes-gcm-messages.ts",
    find: "i < IV_WORDS; i++) toKernel[i] = toRun[i] = ",
    replace: "i < IV_WORDS; i += 2) toKernel[i] = toRun[i] = ",
    tests: ["test/engines/bound-keys.test.ts", FRAMES],
  },
  {
    name: "stage: a key of another engine is taken for one of its own",
    file: "src/engines/wasm/aes-gcm.ts",
    find: "if (!(#holder in key) || key.#singles !== singles) return undefined;",
    replace: "if (!(#holder in key)) return undefined;",
    tests: ["test/engines/wasm/seal-stage.test.ts"],
  },
  {
    name: "stage: results that do not lie together are written as if they did",
    file: "src/engines/wasm/aes-gcm-stage.ts",
    find: "run.out === out && run.offset + run.length === offset)",
    replace: "run.out === out)",
    tests: ["test/engines/wasm/seal-stage.test.ts"],
  },
  {
    name: "slab: blobs overlap by a byte",
    file: "src/envelope/blob-slab.ts",
    find: "this.#next = start + byteLength;",
    replace: "this.#next = start + Math.max(0, byteLength - 1);",
    tests: [SCRATCH, "test/operations/responses.test.ts"],
  },
  {
    name: "counter: a key is not looked at again after a wait",
    file: SEAL,
    find: '      refuseGone(context, version, "ENCRYPT/DECRYPT");\n',
    replace: "",
    tests: [COUNTER],
  },
  {
    name: "blob: reserved bytes are not checked",
    file: "src/envelope/ciphertext-blob.ts",
    find: "    blob[6] === 0 &&\n    blob[7] === 0\n",
    replace: "    blob[6] === 0\n",
    tests: [BLOB],
  },
  {
    name: "blob: a keyId that contradicts it is ignored",
    file: SEAL,
    find: "if (keyId !== undefined && named !== version.key) throw invalidCiphertext();",
    replace: "void named;",
    tests: [MODEL, INVALID],
  },
  {
    name: "context: pairs are not sorted",
    file: "src/envelope/encryption-context.ts",
    find: "    const difference = (a[i] ?? 0) - (b[i] ?? 0);",
    replace: "    const difference = 0 * (a[i] ?? 0) * (b[i] ?? 0);",
    tests: [CONTEXT],
  },
  {
    name: "reEncrypt returns a current blob unopened",
    file: "src/operations/re-encrypt.ts",
    find: "const opened = openBlob(context, source, blob, sourceAad);",
    replace: "const opened = isCurrent ? new Uint8Array(1) : openBlob(context, source, blob, sourceAad);",
    tests: [MODEL, REENCRYPT],
  },
  {
    name: "tag: the node engine ignores a bad one",
    file: "src/engines/node/aes-gcm.ts",
    find: "    plaintext.fill(0);\n    return undefined;\n",
    replace: "    return plaintext;\n",
    tests: [GCM],
  },
  {
    name: "tag: the wasm comparison is always true",
    file: "assembly/ct.ts",
    find: "return (difference - 1) >> 31;",
    replace: "return (difference >> 8) + 1;",
    tests: [GCM],
  },
  {
    name: "tag: GHASH leaves out the block of lengths",
    file: "assembly/aes-gcm/gcm.ts",
    find: "  absorbBlocks(ACCUMULATOR, context + HASH_KEY_OFFSET, BLOCK, 1);\n  store<u64>(BLOCK, bswap<u64>(load<u64>(ACCUMULATOR)));",
    replace: "  store<u64>(BLOCK, bswap<u64>(load<u64>(ACCUMULATOR)));",
    tests: [GCM],
  },
  {
    name: "vault: a record is not bound to its row",
    file: "src/keys/key-record.ts",
    find: "const fields = [RECORD_DOMAIN, record.kind, record.id, record.keyId, record.spec, record.origin];",
    replace: "const fields = [RECORD_DOMAIN, record.kind, record.keyId, record.spec, record.origin];",
    tests: ["test/keys/swapped-rows.test.ts"],
  },
  // DER
  {
    name: "DER: a length may be longer than needed",
    file: "src/engines/der.ts",
    find: 'if (length < 0x80 || length >>> (8 * (count - 1)) === 0) throw new DerError("length not minimal");',
    replace: "",
    tests: [DER],
  },
  {
    name: "DER: a negative integer is read",
    file: "src/engines/der.ts",
    find: "if (first === undefined || first >= 0x80)",
    replace: "if (first === undefined)",
    tests: [DER],
  },
  {
    name: "DER: bytes may follow",
    file: "src/engines/der.ts",
    find: 'if (this.#offset !== this.#bytes.length) throw new DerError("trailing bytes");',
    replace: "",
    tests: [DER],
  },
  // Curves
  {
    name: "curves: equal public points are added as if they differed",
    file: "assembly/ecdsa/point.ts",
    find: "    doublePoint<C>(out, a);\n  } else {",
    replace: "    finishAddition<C>(out, a);\n  } else {",
    tests: [TINY_CURVE, EC_POINTS],
  },
  // ECIES
  {
    name: "ECIES: the tag is not looked at",
    file: "src/engines/ecies.ts",
    find: "if (!isAuthentic) return undefined;",
    replace: "void isAuthentic;",
    tests: [ECIES, ECIES_CALLS],
  },
  {
    name: "ECIES: a ciphertext of nothing opens",
    file: "src/engines/ecies.ts",
    find: "if (length < 1) return undefined;",
    replace: "if (length < 0) return undefined;",
    tests: [ECIES],
  },
  {
    name: "batch: what was collected stays in memory",
    file: "src/engines/wasm/aes-gcm-stage.ts",
    find: "    this.#bytes.fill(0, 0, this.#end);\n",
    replace: "",
    tests: [WAITING],
  },
  {
    name: "batch: what comes late is collected for nobody",
    file: "src/operations/batch.ts",
    find: "    stage.release();\n    signatures.flush();\n    const",
    replace: "    signatures.flush();\n    const",
    tests: [WAITING],
  },
  {
    name: "batch: what was collected waits for the store",
    file: "src/operations/batch.ts",
    find: "    stage.flush();\n    stage.release();\n    signatures.flush();\n    const isPending = results.some((result) => result instanceof Promise);\n    const items = isPending ? await Promise.all(results) : (results as BatchItem<Response>[]);",
    replace: "    const items = await Promise.all(results);\n    stage.flush();\n    signatures.flush();",
    tests: [WAITING],
  },
  {
    name: "ECIES: the MAC key comes first",
    file: "src/engines/ecies.ts",
    find: "return use(keys.subarray(0, length), keys.subarray(length));",
    replace: "return use(keys.subarray(DIGEST_LENGTH), keys.subarray(0, DIGEST_LENGTH));",
    tests: [ECIES, ECIES_CALLS],
  },
  {
    name: "ECIES: the counter starts at zero",
    file: "src/engines/ecies.ts",
    find: "for (let offset = 0, i = 1;",
    replace: "for (let offset = 0, i = 0;",
    tests: [ECIES, ECIES_CALLS],
  },
  {
    name: "ECIES: the tag is of the plaintext",
    file: "src/engines/ecies.ts",
    find: 'engine.hmac.sign("SHA-1", macKey, encryptionKey)',
    replace: 'engine.hmac.sign("SHA-1", macKey, plaintext)',
    tests: [ECIES, ECIES_CALLS],
  },
  {
    name: "ECIES: a bad point is another error",
    file: "src/engines/ecies.ts",
    find: '    if (error instanceof KmsError && error.code === "InvalidKeyMaterial") return undefined;\n',
    replace: "    if (!(error instanceof KmsError)) return undefined;\n",
    tests: [ECIES, ECIES_CALLS],
  },
  {
    name: "ECIES: the derived keys stay in memory",
    file: "src/engines/ecies.ts",
    find: "    keys.fill(0);\n",
    replace: "",
    tests: [ECIES],
  },
  {
    name: "ECIES: the ephemeral key lives on",
    file: "src/engines/ecies.ts",
    find: "    ephemeral.destroy();\n",
    replace: "",
    tests: [ECIES],
  },
  {
    name: "MACs: the last byte is not compared",
    file: "src/engines/equal-macs.ts",
    find: "i < expected.length;",
    replace: "i < expected.length - 1;",
    tests: [ECIES, ECIES_CALLS],
  },
  {
    name: "encrypt drops aad that an asymmetric key cannot bind",
    file: "src/operations/encrypt.ts",
    find: "  ensureNoAad(request);\n",
    replace: "",
    tests: [ECIES_CALLS],
  },
  // Faults of signatures
  {
    name: "signatures are not verified before they leave, singly",
    file: "src/engines/wasm/ecdsa.ts",
    find: "    if (this.#verifySignatures) this.#verifyOwn([job], [signed]);\n",
    replace: "",
    tests: [FAULTS],
  },
  {
    name: "signatures are not verified before they leave, in batches",
    file: "src/engines/wasm/ecdsa.ts",
    find: "    if (this.#verifySignatures) this.#verifyOwn(jobs, signatures);\n",
    replace: "",
    tests: [FAULTS],
  },
  {
    name: "a wrong signature does not stop the engine",
    file: "src/engines/self-test.ts",
    find: "    this.#failed ??= what;\n",
    replace: "",
    tests: [FAULTS],
  },
  {
    name: "a signature with s = 0 leaves",
    file: "src/engines/wasm/ec-operations.ts",
    find: "    if (view.getUint32(item + ItemPart.result, true) === 0) {",
    replace: "    if (view.getUint32(item + ItemPart.result, true) === 2) {",
    tests: [FAULTS],
  },
  {
    name: "a second try takes the same nonce",
    file: "src/engines/wasm/ec-operations.ts",
    find: "const flags: SignFlags = { lowS, hedged: true };",
    replace: "const flags: SignFlags = { lowS, hedged: false };",
    tests: [FAULTS],
  },
  {
    name: "random bytes survive the engine",
    file: "src/engines/wasm/ec-operations.ts",
    find: "    this.#random.wipe();\n",
    replace: "",
    tests: [FAULTS],
  },
  {
    name: "Kms.open forgets verifySignatures",
    file: "src/operations/open-kms.ts",
    find: "const variant = { relaxedSimd, verifySignatures, wasm: options.wasm };",
    replace:
      "const variant = { relaxedSimd, verifySignatures: verifySignatures && false, wasm: options.wasm };",
    tests: [VERIFY_SIGNATURES],
  },
  {
    name: "a Kms signs with plain nonces",
    file: "src/operations/sign.ts",
    find: "hedged: true",
    replace: "hedged: false",
    tests: [VERIFY_SIGNATURES],
  },
  // Batch
  {
    name: "batch: an abort leaves its plaintexts in memory",
    file: "src/operations/batch.ts",
    find: "    for (const result of results) wipeItem(result);\n",
    replace: "",
    tests: [WIPING],
  },
  {
    name: "synchronous twins wait and spend",
    file: "src/operations/open-kms.ts",
    find: "{ ...facts, mayWait: false }",
    replace: "{ ...facts, mayWait: true }",
    tests: [WIPING, COUNTER],
  },
  {
    name: "deletion does not wait for a count under way",
    file: RECORDS,
    find: "    await Promise.allSettled(key.versions.map((version) => this.#reservations.get(version)));\n",
    replace: "",
    tests: [DELETION],
  },
  {
    name: "batch: results are out of order",
    file: "src/operations/batch.ts",
    find: "    results.push(result);",
    replace: "    results.unshift(result);",
    tests: [BATCH],
  },
  {
    name: "batch: a bad item ends it",
    file: "src/operations/batch.ts",
    find: "if (!(error instanceof KmsError)) throw error;",
    replace: "if (error instanceof KmsError) throw error;",
    tests: [BATCH, COUNTER],
  },
  {
    name: "batch: goes on after its signal",
    file: "src/operations/batch.ts",
    find: "      signal?.throwIfAborted();\n",
    replace: "      void signal;\n",
    tests: [BATCH],
  },
  {
    name: "batch: sees what the caller does to its arrays later",
    file: "src/operations/batch.ts",
    find: "rest = copyRequests(requests, results.length, copies);",
    replace: "copyRequests(requests, results.length, copies);",
    tests: [BATCH],
  },

  {
    name: "batch of signatures: the results change places",
    file: SIGNATURE_STAGE,
    find: "complete(results[i] as never);",
    replace: "complete(results[waiting.length - 1 - i] as never);",
    tests: [SIGNATURE_BATCHES, BATCH],
  },
  {
    name: "batch of signatures: one refused item fails its neighbours",
    file: SIGNATURE_STAGE,
    find: "      for (const one of waiting) this.#finishAlone(work, one);\n",
    replace: "      for (const { answer } of waiting) (this.#failures ??= new Map()).set(answer, error);\n",
    tests: [SIGNATURE_BATCHES],
  },
  {
    name: "batch of signatures: a refused item passes for a good one",
    file: "src/operations/batch.ts",
    find: "return error === undefined ? item : refusal(context, error);",
    replace: "return error === undefined || item.ok ? item : refusal(context, error);",
    tests: [SIGNATURE_BATCHES],
  },
  {
    name: "batch of signatures: digests stay in memory",
    file: SIGNATURE_STAGE,
    find: "for (const { item } of waiting) item.signable.fill(0);",
    replace: "for (const { item } of waiting) item.signable.fill(0, 32);",
    tests: [SIGNATURE_BATCHES],
  },
  {
    name: "batch of signatures: the caller's digest is not copied",
    file: "src/operations/signing-input.ts",
    find: '"DIGEST" ? copyBytes(message)',
    replace: '"DIGEST" ? message',
    tests: [SIGNATURE_BATCHES],
  },
  {
    name: "batch of signatures: waits through the turns of others",
    file: "src/operations/batch.ts",
    find: "      signatures.flush();\n      if (stop",
    replace: "      if (stop",
    tests: [SIGNATURE_BATCHES],
  },
  {
    name: "batch of signatures: plain nonces",
    file: "src/engines/together.ts",
    find: "hedged: true",
    replace: "hedged: false",
    tests: [SIGNATURE_BATCHES],
  },
  {
    name: "batch of signatures: low s is not asked for",
    file: "src/engines/together.ts",
    find: "(lowS ? 2 : 0)",
    replace: "(lowS ? 0 : 0)",
    tests: [SIGNATURE_BATCHES],
  },

  {
    name: "tables: a key takes the place of one used as often",
    file: "src/engines/wasm/key-tables.ts",
    find: "let fewest = key.uses / MARGIN;",
    replace: "let fewest = key.uses;",
    tests: [KEY_TABLES],
  },
  {
    name: "tables: old uses count for ever",
    file: "src/engines/wasm/key-tables.ts",
    find: "if (due === key.halvings) return;",
    replace: "if (due >= key.halvings) return;",
    tests: [KEY_TABLES],
  },
  {
    name: "tables: a table in use by the call is overwritten",
    file: "src/engines/wasm/key-tables.ts",
    find: " || this.#lastUse[place] === this.#call) continue;",
    replace: ") continue;",
    tests: [KEY_TABLES],
  },
  {
    name: "tables: whoever lost its place still uses it",
    file: "src/engines/wasm/key-tables.ts",
    find: "    if (occupant !== undefined) occupant.tableNumber = 0;\n",
    replace: "    void occupant;\n",
    tests: [KEY_TABLES],
  },

  // Curve kernels on pairs
  {
    name: "pairs: the sign of a half of the scalar is forgotten",
    file: "assembly/ecdsa/pair-point.ts",
    find: "negatePair(~positive ^ negative);",
    replace: "negatePair(~positive);",
    tests: ["test/engines/wasm/ecdsa.test.ts"],
  },
  {
    name: "pairs: equal points are taken for opposite ones",
    file: "assembly/ecdsa/pair-verify.ts",
    find: "} else if (fieldIsZeroVartime<C>(S2) === 0) {",
    replace: "} else if (fieldIsZeroVartime<C>(S2) !== 0) {",
    tests: ["test/engines/wasm/ecdsa.test.ts", "test/kernel/ec-pair.test.ts"],
  },

  // RSA
  {
    name: "RSA: a result leaves unchecked",
    file: "assembly/rsa/private.ts",
    find: "      if (isTrue(right)) {\n",
    replace: "      if (isTrue(right | 0xffffffff)) {\n",
    tests: [RSA],
  },
  {
    name: "RSA: a negative number leaves the plain vectors as it is",
    file: "assembly/rsa/fp24.ts",
    find: "(integerAt(modulus + at) & negative)",
    replace: "(integerAt(modulus + at) & 0)",
    tests: ["test/kernel/rsa-pair.test.ts"],
  },
  {
    name: "RSA: digits of the plain vectors are not balanced",
    file: "assembly/rsa/fp24.ts",
    find: "const half: i64 = 1 << (bits - 1);",
    replace: "const half: i64 = 0;",
    tests: ["test/kernel/rsa-pair.test.ts"],
  },
  {
    name: "RSA: what is no number passes for equal",
    file: "assembly/rsa/private.ts",
    find: "  return equal & sound & natEqualMask(PRODUCT, WIDE, words);",
    replace: "  return (equal | (sound & 0)) & natEqualMask(PRODUCT, WIDE, words);",
    tests: ["test/engines/wasm/rsa-absorbing-faults.test.ts"],
  },
  {
    name: "RSA: a result may change after it was checked",
    file: "assembly/rsa/private.ts",
    find: "  natFromBytes(PRODUCT, words, RSA_OUTPUT, 4 * words);\n",
    replace:
      "  natToBytes(RSA_OUTPUT, 4 * words, WIDE, words);\n  natFromBytes(PRODUCT, words, RSA_OUTPUT, 4 * words);\n",
    tests: ["test/engines/wasm/rsa-faults.test.ts"],
  },
  {
    name: "RSA: nothing is blinded",
    file: "assembly/rsa/private.ts",
    find: "  pairMultiply(X, ENTERED, key + BLIND, context);\n  pairPower(X, X, context, key + DP, key + DQ);\n  pairMultiply(X, X, key + UNBLIND, context);\n",
    replace: "  pairPower(X, ENTERED, context, key + DP, key + DQ);\n",
    tests: [RSA],
  },
  {
    name: "RSA: a blinding stays as it is",
    file: "assembly/rsa/private.ts",
    find: "  pairSquare(key + BLIND, key + BLIND, context);\n  pairSquare(key + UNBLIND, key + UNBLIND, context);\n",
    replace: "",
    tests: [RSA],
  },
  {
    name: "RSA: a blinding is never renewed",
    file: "assembly/rsa/private.ts",
    find: "      store<u32>(key, uses - 1, USES);\n",
    replace: "",
    tests: [RSA],
  },
  {
    name: "RSA: Manger's byte is not looked at",
    file: "assembly/rsa/oaep.ts",
    find: "let bad: u64 = <u64>load<u8>(block);",
    replace: "let bad: u64 = 0;",
    tests: [RSA],
  },
  {
    name: "RSA: the label of OAEP is not looked at",
    file: "assembly/rsa/oaep.ts",
    find: "bad |= <u64>(load<u8>(data + i) ^ load<u8>(labelHash + i));",
    replace: "bad |= <u64>(load<u8>(data + i) & ~load<u8>(data + i));",
    tests: [RSA],
  },
  {
    name: "RSA: anything separates the message of OAEP",
    file: "assembly/rsa/oaep.ts",
    find: "    bad |= (byte ^ 1) & ends;\n",
    replace: "",
    tests: [RSA],
  },
  {
    name: "RSA: OAEP opens without a separator",
    file: "assembly/rsa/oaep.ts",
    find: "  bad |= looking;\n",
    replace: "",
    tests: [RSA],
  },
  {
    name: "RSA: PSS takes a salt of any length",
    file: "assembly/rsa/pss.ts",
    find: "  if (saltLength !== ANY_SALT && found !== saltLength) return 0;\n",
    replace: "",
    tests: [RSA],
  },
  {
    name: "RSA: PKCS#1 v1.5 compares the digest alone",
    file: "assembly/rsa/pkcs1.ts",
    find: "  return equalBit(block, RSA_EXPECTED, blockLength);",
    replace:
      "  const from: u32 = blockLength - digestLengthOf(hash);\n  return equalBit(block + from, RSA_EXPECTED + from, blockLength - from);",
    tests: [RSA],
  },
  {
    name: "RSA: primes may be close to one another",
    file: "assembly/rsa/keygen.ts",
    find: "  } else if (zeroBit64(<u64>~areFarApart(PRIME_P, PRIME_Q)) === 1) {",
    replace: "  } else if (zeroBit64(<u64>~areFarApart(PRIME_P, PRIME_Q)) < 2) {",
    tests: [RSA],
  },
  {
    name: "RSA: a new private exponent may be short",
    file: "assembly/rsa/keygen.ts",
    find: "  good &= ~natZeroMask(EXPONENT + 4 * <usize>words, words);\n",
    replace: "",
    tests: [RSA],
  },
  {
    name: "RSA: primes may be small",
    file: "assembly/rsa/keygen.ts",
    find: "const tooSmall: u32 = <u32>((<u64>top - <u64>LEAST_TOP) >> 63);",
    replace: "const tooSmall: u32 = <u32>((<u64>top - <u64>LEAST_TOP) >> 63) & 0;",
    tests: [RSA],
  },
  {
    name: "RSA: e may divide a prime less 1",
    file: "assembly/rsa/keygen.ts",
    find: "tooSmall | lessMask32(onExponent, 1)",
    replace: "tooSmall | (lessMask32(onExponent, 1) & 0)",
    tests: [RSA],
  },
  {
    name: "RSA: imported numbers need not be prime",
    file: "src/engines/wasm/rsa-primes.ts",
    find: "if (kernel.rsaTestCandidates() !== BOTH) return false;",
    replace: "void (kernel.rsaTestCandidates() !== BOTH);",
    tests: [RSA],
  },
  {
    name: "RSA: an imported d is not looked at",
    file: "src/engines/rsa-key-check.ts",
    find: "  differences |= differenceOf(remainder(new Uint8Array(d), pMinus1), dP);\n  differences |= differenceOf(remainder(new Uint8Array(d), qMinus1), dQ);\n",
    replace: "  void d;\n",
    tests: [RSA],
  },
  {
    name: "RSA: a fault of the kernels leaves their work behind",
    file: "src/engines/wasm/rsa-raw.ts",
    find: "    if (this.kernel.rsaSelfTest() !== 1) {",
    replace: "    if (!this.#isDirty) {",
    tests: [RSA],
  },
  {
    name: "RSA: a fault leaves the key loaded",
    file: "src/engines/wasm/rsa-raw.ts",
    find: "      for (const key of keys) this.#evict(key);\n",
    replace: "      void keys;\n",
    tests: [RSA],
  },
  {
    name: "RSA: auto takes no notice of vector instructions",
    file: "src/engines/choose-engine.ts",
    find: "if (route.needsVectors !== true || hasVectors(engine, Number(parameter))) return engine;",
    replace: "void hasVectors(engine, Number(parameter));\n    return engine;",
    tests: [RSA_ROUTES],
  },
  {
    name: "RSA: a key in two engines is forgotten in none",
    file: "src/engines/key-slot.ts",
    find: "  for (const binding of Object.values(slot.rsa)) binding.privateKey.destroy();\n",
    replace: "",
    tests: [RSA_ROUTES],
  },
];
