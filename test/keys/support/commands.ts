/** The commands of the model-based test: each asks the model for a prediction, then the Kms, and compares. */

import fc, { type Arbitrary, type AsyncCommand } from "fast-check";
import { expect } from "vitest";
import { KmsError } from "../../../src/errors.ts";
import { type AadFields, Kms } from "../../../src/index.ts";
import { DAY, ROOT_KEY, TestClock } from "./kms.ts";
import { Model, type ModelCiphertext, Refusal, type Spec } from "./model.ts";
import { TestRows } from "./rows.ts";
import { type Action, checkAll, type World } from "./world.ts";

function open(rows: TestRows, clock: TestClock, usageLimit: number): Promise<Kms> {
  return Kms.open({ store: rows.handle(), rootKey: ROOT_KEY, clock: clock.read, usageLimit });
}

/** Starts a model and a Kms with one symmetric key. */
export async function start(limit: number): Promise<{ model: Model; real: World }> {
  const model = new Model(limit);
  const rows = new TestRows();
  const clock = new TestClock();
  const real = { kms: await open(rows, clock, limit), rows, clock };
  await create("Aliyun_AES_256")(model, real);
  return { model, real };
}

class Command implements AsyncCommand<Model, World> {
  readonly #text: string;
  readonly #action: Action;

  constructor(text: string, action: Action) {
    this.#text = text;
    this.#action = action;
  }

  check(): boolean {
    return true;
  }

  async run(model: Model, real: World): Promise<void> {
    await this.#action(model, real);
  }

  toString(): string {
    return this.#text;
  }
}

/** Checks that a call ends as the model says; `compare` sees the two results when both say yes. */
async function agree<P, R>(
  predict: () => P,
  call: () => R | Promise<R>,
  compare: (predicted: P, result: R) => void = () => undefined,
): Promise<void> {
  let predicted: P | Refusal;
  try {
    predicted = predict();
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    predicted = error;
  }
  let result: R;
  try {
    result = await call();
  } catch (error) {
    if (!(error instanceof KmsError)) throw error;
    expect(error.code).toBe(predicted instanceof Refusal ? predicted.code : "ok");
    return;
  }
  if (predicted instanceof Refusal) expect("ok").toBe(predicted.code);
  else compare(predicted, result);
}

/** What is authenticated along; index 0 is nothing at all. */
const CONTEXTS: readonly AadFields[] = [
  {},
  { aad: Uint8Array.of(1, 2, 3) },
  { encryptionContext: { tenant: "a" } },
  { encryptionContext: { tenant: "b" } },
];

const ALIASES = ["alias/one", "alias/two", "alias/a-b_c/3"] as const;

/** How a call names a key: by a known id, by its ARN, by an alias, or by an id and an ARN of somewhere else. */
interface Reference {
  readonly by: "id" | "arn" | "alias" | "unknown" | "foreign";
  readonly index: number;
}

const reference: Arbitrary<Reference> = fc.record({
  by: fc.oneof(
    { weight: 6, arbitrary: fc.constant("id" as const) },
    { weight: 2, arbitrary: fc.constantFrom("arn" as const, "alias" as const) },
    { weight: 1, arbitrary: fc.constantFrom("unknown" as const, "foreign" as const) },
  ),
  index: fc.nat({ max: 4 }),
});

/** @returns what the model and what the call is told */
function names(model: Model, { by, index }: Reference): { name: string; keyId: string } {
  const id = model.everyId[index % model.everyId.length] as string;
  const alias = ALIASES[index % ALIASES.length] as string;
  switch (by) {
    case "id":
      return { name: id, keyId: id };
    case "arn":
      return { name: id, keyId: `acs:kms:local:0:key/${id}` };
    case "alias":
      return { name: alias, keyId: alias };
    case "unknown":
      return { name: "none", keyId: "key-00000000000000000000" };
    case "foreign":
      return { name: "none", keyId: `acs:kms:elsewhere:0:key/${id}` };
  }
}

function create(keySpec: Spec): Action {
  return async (model, real) => {
    const { keyId, keyMetadata } = await real.kms.createKey({ keySpec });
    expect(model.everyId).not.toContain(keyId);
    model.add(keyId, keySpec, keyMetadata.primaryKeyVersion);
  };
}

const SEALERS = {
  encrypt: "detached",
  generateDataKey: "detached",
  advanceEncrypt: "advance",
  advanceGenerateDataKey: "advance",
} as const;
type Sealer = keyof typeof SEALERS;

function seal(sealer: Sealer, ref: Reference, aad: number, sync: boolean): Action {
  return async (model, { kms }) => {
    const { name, keyId } = names(model, ref);
    const text = Uint8Array.of(1 + (model.ciphertexts.length % 255), 2, 3);
    const isDataKey = sealer === "generateDataKey" || sealer === "advanceGenerateDataKey";
    const form = SEALERS[sealer];
    const request = { keyId, ...CONTEXTS[aad] };
    const withText = { ...request, plaintext: text };
    const calls = {
      encrypt: () => (sync ? kms.encryptSync(withText) : kms.encrypt(withText)),
      advanceEncrypt: () => (sync ? kms.advanceEncryptSync(withText) : kms.advanceEncrypt(withText)),
      generateDataKey: () => (sync ? kms.generateDataKeySync(request) : kms.generateDataKey(request)),
      advanceGenerateDataKey: () =>
        sync ? kms.advanceGenerateDataKeySync(request) : kms.advanceGenerateDataKey(request),
    };
    await agree(
      () => model.seal(name, form, sealer === "encrypt"),
      async () => await calls[sealer](),
      ([key, version], result) => {
        expect([result.keyId, result.keyVersionId]).toEqual([key.id, version.id]);
        const plaintext = isDataKey ? (result as unknown as { plaintext: Uint8Array }).plaintext : text;
        const iv = result.iv as Uint8Array;
        model.ciphertexts.push({ form, key, version, aad, plaintext, bytes: result.ciphertextBlob, iv });
      },
    );
  };
}

type Opener = "decrypt" | "advanceDecrypt" | "advanceDecryptDetached" | "advanceDecryptNamed";

function opening(opener: Opener, index: number, ref: Reference | undefined, aad: number | undefined): Action {
  return async (model, real) => {
    const text = model.ciphertexts[index % model.ciphertexts.length];
    if (text === undefined) return;
    const named = ref === undefined ? { name: text.key.id, keyId: text.key.id } : names(model, ref);
    await openText(model, real, opener, text, named, aad ?? text.aad);
  };
}

async function openText(
  model: Model,
  { kms }: World,
  opener: Opener,
  text: ModelCiphertext,
  { name, keyId }: { name: string; keyId: string },
  aad: number,
): Promise<void> {
  const blob = { ciphertextBlob: text.bytes, ...CONTEXTS[aad] };
  const compare = (predicted: ModelCiphertext, result: { plaintext: Uint8Array; keyVersionId: string }) => {
    expect(result.plaintext).toEqual(predicted.plaintext);
    expect(result.keyVersionId).toBe(predicted.version.id);
  };
  switch (opener) {
    case "decrypt":
      return agree(
        () => model.openDetached(name, text, aad, true),
        () => kms.decrypt({ keyId, iv: text.iv, ...blob }),
        compare,
      );
    case "advanceDecryptDetached":
      return agree(
        () => model.openDetached(name, text, aad, false),
        () => kms.advanceDecrypt({ keyId, iv: text.iv, ...blob }),
        compare,
      );
    case "advanceDecryptNamed":
      return agree(
        () => model.openBlob(name, text, aad),
        () => kms.advanceDecryptSync({ keyId, ...blob }),
        compare,
      );
    case "advanceDecrypt":
      return agree(
        () => model.openBlob(undefined, text, aad),
        () => kms.advanceDecrypt(blob),
        compare,
      );
  }
}

function reEncrypt(
  index: number,
  isRight: boolean,
  ref: Reference | undefined,
  to: number | undefined,
): Action {
  return async (model, { kms }) => {
    const text = model.ciphertexts[index % model.ciphertexts.length];
    if (text === undefined) return;
    const aad = isRight ? text.aad : (text.aad + 1) % CONTEXTS.length;
    const destination = ref === undefined ? undefined : names(model, ref);
    const source = CONTEXTS[aad] as AadFields;
    const target = to === undefined ? {} : (CONTEXTS[to] as AadFields);
    await agree(
      () => model.reEncrypt(text, aad, destination?.name, to ?? aad),
      () =>
        kms.reEncrypt({
          ciphertextBlob: text.bytes,
          sourceAad: source.aad,
          sourceEncryptionContext: source.encryptionContext,
          destinationKeyId: destination?.keyId,
          destinationAad: to === 0 ? null : target.aad,
          destinationEncryptionContext: target.encryptionContext,
        }),
      ({ key, version, changed }, result) => {
        expect(result).toMatchObject({
          keyId: text.key.id,
          keyVersionId: text.version.id,
          destinationKeyId: key.id,
          destinationKeyVersionId: version.id,
          changed,
        });
        const bytes = result.ciphertextBlob;
        const iv = bytes.slice(24, 36);
        if (changed) model.ciphertexts.push({ ...text, key, version, aad: to ?? aad, bytes, iv });
        else expect(bytes).toEqual(text.bytes);
      },
    );
  };
}

function useOther(call: "sign" | "mac", ref: Reference): Action {
  return async (model, { kms }) => {
    const { name, keyId } = names(model, ref);
    const message = Uint8Array.of(9);
    await agree(
      () => model[call](name),
      async () =>
        await (call === "sign" ? kms.sign({ keyId, message }) : kms.generateMac({ keyId, message })),
      (key, result) => expect(result.keyVersionId).toBe(model.primary(key).id),
    );
  };
}

function rotate(ref: Reference): Action {
  return async (model, { kms }) => {
    const { name, keyId } = names(model, ref);
    await agree(
      () => model.rotate(name),
      () => kms.rotateKey({ keyId }),
      (key, result) => {
        expect(key.versions.map((version) => version.id)).not.toContain(result.keyVersionId);
        key.versions.push({ id: result.keyVersionId, used: 0, reserved: 0 });
      },
    );
  };
}

type Change = "enableKey" | "disableKey" | "cancelKeyDeletion";

function change(method: Change, ref: Reference): Action {
  return async (model, { kms }) => {
    const { name, keyId } = names(model, ref);
    const predict = {
      enableKey: () => model.switchTo(name, "Enabled"),
      disableKey: () => model.switchTo(name, "Disabled"),
      cancelKeyDeletion: () => model.cancel(name),
    };
    await agree(predict[method], () => kms[method]({ keyId }));
  };
}

function schedule(ref: Reference, pendingWindowInDays: number): Action {
  return async (model, { kms }) => {
    const { name, keyId } = names(model, ref);
    await agree(
      () => model.schedule(name, pendingWindowInDays),
      () => kms.scheduleKeyDeletion({ keyId, pendingWindowInDays }),
    );
  };
}

function setAlias(method: "createAlias" | "updateAlias", aliasName: string, ref: Reference): Action {
  return async (model, { kms }) => {
    const { name, keyId } = names(model, ref);
    await agree(
      () => model[method](aliasName, name),
      () => kms[method]({ aliasName, keyId }),
    );
  };
}

function deleteAlias(aliasName: string): Action {
  return (model, { kms }) =>
    agree(
      () => model.deleteAlias(aliasName),
      () => kms.deleteAlias({ aliasName }),
    );
}

function tick(milliseconds: number): Action {
  return async (model, { clock }) => {
    model.tick(milliseconds);
    clock.advance(milliseconds);
  };
}

/** Closes the Kms, or lets it crash, and opens its rows again. */
function reopen(crash: boolean): Action {
  return async (model, real) => {
    if (crash) {
      real.rows.crash();
      await real.kms.close().catch(() => undefined);
    } else {
      await real.kms.close();
    }
    model.stop(crash);
    real.kms = await open(real.rows, real.clock, model.limit);
  };
}

function describeOne(ref: Reference): Action {
  return (model, { kms }) => {
    const { name, keyId } = names(model, ref);
    return agree(
      () => model.find(name),
      () => kms.describeKey({ keyId }),
      (key, { keyMetadata }) =>
        expect([keyMetadata.keyId, keyMetadata.keyState]).toEqual([key.id, key.state]),
    );
  };
}

/** Checks that every ciphertext made so far opens or is refused as it should. */
export const openAll: Action = async (model, real) => {
  for (const text of model.ciphertexts) {
    const named = { name: text.key.id, keyId: text.key.id };
    const opener = text.form === "detached" ? "decrypt" : "advanceDecrypt";
    await openText(model, real, opener, text, named, text.aad);
  }
};

const aliasName = fc.constantFrom(...ALIASES);
const aad = fc.nat({ max: CONTEXTS.length - 1 });
/** Absent half of the time. */
const half = <T>(arbitrary: Arbitrary<T>): Arbitrary<T | undefined> =>
  fc.option(arbitrary, { nil: undefined, freq: 2 });
const step = <T extends unknown[]>(
  name: string,
  action: (...parameters: T) => Action,
  ...parameters: { [I in keyof T]: Arbitrary<T[I]> }
): Arbitrary<Command> =>
  fc
    .tuple(...(parameters as Arbitrary<unknown>[]))
    .map(
      (values) =>
        new Command(`${name}(${values.map((v) => JSON.stringify(v)).join(", ")})`, action(...(values as T))),
    );

const specs = fc.constantFrom<Spec>("Aliyun_AES_256", "Aliyun_AES_256", "HMAC_SHA_256", "EC_P256");
const sealers = fc.constantFrom(...(Object.keys(SEALERS) as Sealer[]));
const openers = fc.constantFrom<Opener>(
  "decrypt",
  "advanceDecrypt",
  "advanceDecryptDetached",
  "advanceDecryptNamed",
);
const spans = fc.constantFrom(1, DAY, 6 * DAY, 7 * DAY - 1, 7 * DAY, 366 * DAY);
const windows = fc.constantFrom(6, 7, 7, 7, 8, 366, 367);
const sealing = step("seal", seal, sealers, reference, aad, fc.boolean());
const reading = step("open", opening, openers, fc.nat({ max: 30 }), half(reference), half(aad));

/** Commands to draw from; one that is listed twice is drawn twice as often. */
export const COMMANDS: Arbitrary<Command>[] = [
  step("createKey", create, specs),
  sealing,
  sealing,
  reading,
  reading,
  step("reEncrypt", reEncrypt, fc.nat({ max: 30 }), fc.boolean(), half(reference), half(aad)),
  step("use", useOther, fc.constantFrom("sign" as const, "mac" as const), reference),
  step("rotate", rotate, reference),
  step("enable", change, fc.constant<Change>("enableKey"), reference),
  step("disable", change, fc.constant<Change>("disableKey"), reference),
  step("cancel", change, fc.constant<Change>("cancelKeyDeletion"), reference),
  step("schedule", schedule, reference, windows),
  step("createAlias", setAlias, fc.constant("createAlias" as const), aliasName, reference),
  step("updateAlias", setAlias, fc.constant("updateAlias" as const), aliasName, reference),
  step("deleteAlias", deleteAlias, aliasName),
  step("tick", tick, spans),
  step("reopen", reopen, fc.boolean()),
  step("describe", describeOne, reference),
  step("checkAll", () => checkAll),
];
