/** Makes the object of a new key version in the token, and takes it back if the store does not keep its record. */

import { encodeReference } from "../engines/hardware-keys.ts";
import { hardwareFacts } from "../engines/token-keys.ts";
import { formatKeyVersionId } from "../envelope/key-version-id.ts";
import type { KeyIdentity } from "../keys/key.ts";
import { newKeyVersionIdBytes } from "../keys/key-id.ts";
import type { OperationContext } from "./context.ts";

/**
 * Generates in the token, hands on what stands for the key in the store, and destroys the object when that fails.
 *
 * @param random the 16 random bytes that the version id is made of; the id is the object's CKA_ID
 */
export async function withHardwareMaterial<T>(
  context: OperationContext,
  identity: KeyIdentity,
  random: Uint8Array,
  keep: (reference: Uint8Array) => Promise<T>,
): Promise<T> {
  const token = context.router.hardware.token();
  const id = newKeyVersionIdBytes(random);
  const { facts, usage } = hardwareFacts(identity);
  const label = `keyplane ${identity.keyId} ${formatKeyVersionId(id)}`;
  const reference = await token.generate({ facts, usage, id, label });
  try {
    return await keep(encodeReference(reference));
  } catch (error) {
    await token.destroy(reference, facts).catch(() => undefined);
    throw error;
  }
}
