/** CreateKey: a key of a spec and usage with its first version, enabled. */

import type { GenerateKeyOptions } from "../engines/engine.ts";
import { randomBytes } from "../engines/random.ts";
import { ensure } from "../errors.ts";
import type { KeyIdentity, KeyOrigin, ProtectionLevel } from "../keys/key.ts";
import { KEY_ID_ENTROPY_LENGTH, newKeyId } from "../keys/key-id.ts";
import { KEY_SPECS, type KeySpec, type KeyUsage, materialOf, usagesOf } from "../keys/key-spec.ts";
import type { OperationContext, ResponseMetadata } from "./context.ts";
import { withHardwareMaterial } from "./hardware-material.ts";
import { checkFields, fields, readChoice, readOptionalBoolean } from "./input.ts";
import { type KeyMetadata, keyMetadata } from "./key-metadata.ts";

export interface Tag {
  readonly tagKey: string;
  readonly tagValue: string;
}

export interface CreateKeyRequest {
  /** Aliyun_AES_256 if absent. */
  readonly keySpec?: KeySpec | undefined;
  /** SIGN/VERIFY if absent and the spec can sign, else the spec's own. */
  readonly keyUsage?: KeyUsage | undefined;
  /** Aliyun_KMS: material is generated here. EXTERNAL (imported material) is not served yet. */
  readonly origin?: KeyOrigin | undefined;
  /** SOFTWARE; HSM makes the key in the token of `Kms.open({ hsm })`, where it stays. */
  readonly protectionLevel?: ProtectionLevel | undefined;
  /** At most 8192 characters. */
  readonly description?: string | undefined;
  /** At most 20; keys and values of at most 128 characters. */
  readonly tags?: readonly Tag[] | undefined;
  /** Only false is served yet; rotate with rotateKey. */
  readonly enableAutomaticRotation?: boolean | undefined;
  readonly rotationInterval?: string | undefined;
}

export interface CreateKeyResponse extends ResponseMetadata {
  readonly keyId: string;
  readonly keyMetadata: KeyMetadata;
}

const FIELDS = fields(
  "keySpec",
  "keyUsage",
  "origin",
  "protectionLevel",
  "description",
  "tags",
  "enableAutomaticRotation",
  "rotationInterval",
);
const MAX_DESCRIPTION_LENGTH = 8192;
const MAX_TAGS = 20;
const TAG_TEXT = /^[A-Za-z0-9/\\_\-.+=:@]{1,128}$/;

/** Reads a description: absent = empty. */
function readDescription(value: unknown): string {
  ensure(
    value === undefined || typeof value === "string",
    "InvalidParameter",
    "description must be a string.",
  );
  const description = value ?? "";
  ensure(
    description.length <= MAX_DESCRIPTION_LENGTH,
    "InvalidParameter",
    "description must have at most 8192 characters.",
  );
  return description;
}

function readTags(value: unknown): Record<string, string> {
  if (value === undefined) return {};
  ensure(Array.isArray(value), "InvalidParameter", "tags must be an array of { tagKey, tagValue }.");
  ensure(value.length <= MAX_TAGS, "InvalidParameter", "tags must be at most 20.");
  const tags = Array.from(value, (tag: Partial<Tag> | null | undefined): [string, string] => {
    const key = tag?.tagKey;
    const text = tag?.tagValue;
    ensure(
      typeof key === "string" && TAG_TEXT.test(key),
      "InvalidParameter",
      "tags must have a tagKey of 1 to 128 letters, digits or /\\_-.+=:@.",
    );
    ensure(
      !/^(aliyun|acs:)/.test(key),
      "InvalidParameter",
      "tags must not have a tagKey that starts with aliyun or acs:.",
    );
    ensure(
      typeof text === "string" && (text === "" || TAG_TEXT.test(text)),
      "InvalidParameter",
      "tags must have a tagValue of at most 128 letters, digits or /\\_-.+=:@.",
    );
    return [key, text];
  });
  const unique = new Map(tags);
  ensure(unique.size === tags.length, "InvalidParameter", "tags must not repeat a tagKey.");
  return Object.fromEntries(unique);
}

/** @throws KmsError `InvalidParameter`, `Unsupported.Origin`, `Unsupported.ProtectionLevel`, `Rejected.UnsupportedOperation` */
export async function createKey(
  context: OperationContext,
  request: CreateKeyRequest = {},
  options: GenerateKeyOptions = {},
): Promise<CreateKeyResponse> {
  checkFields(request, FIELDS);
  const spec = readChoice(request.keySpec, "keySpec", KEY_SPECS, "Aliyun_AES_256");
  const usages = usagesOf(spec);
  const usage = readChoice(request.keyUsage, "keyUsage", usages, usages[0]);
  const origin = readChoice(request.origin, "origin", ["Aliyun_KMS", "EXTERNAL"], "Aliyun_KMS");
  ensure(
    origin === "Aliyun_KMS",
    "Unsupported.Origin",
    "origin EXTERNAL is not served: key material cannot be imported yet.",
  );
  const protectionLevel = readChoice(
    request.protectionLevel,
    "protectionLevel",
    ["SOFTWARE", "HSM"],
    "SOFTWARE",
  );
  const isHardware = protectionLevel === "HSM";
  ensure(
    !isHardware || context.router.hardware.isThere,
    "Unsupported.ProtectionLevel",
    "protectionLevel HSM needs an HSM, and none is open here.",
  );
  const facts = materialOf(spec);
  ensure(
    !isHardware || (facts.type !== "hmac" && !(facts.type === "ec" && usage === "ENCRYPT/DECRYPT")),
    "Rejected.UnsupportedOperation",
    "protectionLevel HSM is not served for this keySpec and keyUsage.",
  );
  const rotates = readOptionalBoolean(request.enableAutomaticRotation, "enableAutomaticRotation") ?? false;
  ensure(
    !rotates,
    "Rejected.UnsupportedOperation",
    "enableAutomaticRotation is not served yet; call rotateKey.",
  );
  ensure(
    request.rotationInterval === undefined,
    "InvalidParameter",
    "rotationInterval goes with enableAutomaticRotation.",
  );
  const description = readDescription(request.description);
  const tags = readTags(request.tags);

  const versionRandom = randomBytes(16);
  const identity: KeyIdentity = {
    keyId: newKeyId(randomBytes(KEY_ID_ENTROPY_LENGTH)),
    spec,
    usage,
    origin,
    protectionLevel,
    createdAt: context.clock(),
  };
  const status = { state: "Enabled", description, tags } as const;
  if (isHardware) {
    const made = await context.records.inTurn(() =>
      withHardwareMaterial(context, identity, versionRandom, (reference) =>
        context.records.create(identity, status, reference, versionRandom),
      ),
    );
    return { keyId: made.keyId, keyMetadata: keyMetadata(context, made), requestId: context.nextRequestId() };
  }
  const material = await context.router.generateMaterial(facts, options);
  const key = await context.records
    .inTurn(() => context.records.create(identity, status, material, versionRandom))
    .finally(() => material.fill(0));
  return { keyId: key.keyId, keyMetadata: keyMetadata(context, key), requestId: context.nextRequestId() };
}
