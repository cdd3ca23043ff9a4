/** `keyplane/hsm`: tokens behind PKCS#11. Nothing is defined here but the name `Hsm`. */

import type { Hsm as HsmCalls } from "./engines/hsm/hsm.ts";
import { groupHsm, openHsm } from "./engines/hsm/open-hsm.ts";

export type {
  ClassLimit,
  ClassLimits,
  InitTokenOptions,
  ModuleInfo,
  ModuleOptions,
} from "./engines/hsm/addon.ts";
export type { BreakerOptions } from "./engines/hsm/breaker.ts";
export type {
  BreakerState,
  GenerateHsmKeyRequest,
  HsmBatchItem,
  HsmCallOptions,
  HsmCapabilities,
  HsmDecryptRequest,
  HsmEncryptRequest,
  HsmEncryptResponse,
  HsmEvents,
  HsmHealth,
  HsmKey,
  HsmKeyReference,
  HsmKeySpec,
  HsmMemberStats,
  HsmSignRequest,
  HsmStats,
  ImportHsmKeyRequest,
} from "./engines/hsm/hsm.ts";
export { HsmError, type HsmErrorCode, type HsmOutcome } from "./engines/hsm/hsm-error.ts";
export { initToken, probeModule } from "./engines/hsm/module.ts";
export type { HsmGroupOptions, HsmOptions } from "./engines/hsm/open-hsm.ts";
export type { GroupPolicy } from "./engines/hsm/selector.ts";
export type { PinProvider } from "./engines/hsm/token.ts";
export type { TokenScheme } from "./engines/hsm/trials.ts";
export { KmsError, type KmsErrorCode } from "./errors.ts";

/** A token, or a group of tokens, that keys live in. */
export type Hsm = HsmCalls;

/** Opens tokens and joins them into groups. */
export const Hsm: {
  /** Logs in to a token. */
  readonly open: typeof openHsm;
  /** Joins open tokens that hold the same keys; the group closes them. */
  readonly group: typeof groupHsm;
} = { open: openHsm, group: groupHsm };
