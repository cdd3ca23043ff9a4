/** The ways in which tokens do AES-GCM: who makes the IVs, and how they travel. */

import { CKM } from "./constants.ts";
import { IV_MODE } from "./record.ts";

export type IvMode = "host" | "host-message" | "token-pIv" | "token-prefix" | "message";

/** Who makes the IVs of AES-GCM, and the mechanism that stands for it in the token. */
export const GCM_MODES: Readonly<Record<IvMode, { readonly ivMode: number; readonly mechanism: number }>> = {
  host: { ivMode: IV_MODE.HOST, mechanism: CKM.aesGcm },
  "host-message": { ivMode: IV_MODE.MESSAGE_HOST_IV, mechanism: CKM.aesGcm },
  "token-pIv": { ivMode: IV_MODE.TOKEN_PIV, mechanism: CKM.aesGcm },
  "token-prefix": { ivMode: IV_MODE.TOKEN_PREFIX, mechanism: CKM.cloudHsmAesGcm },
  message: { ivMode: IV_MODE.MESSAGE, mechanism: CKM.aesGcm },
};

/** Tells whether the token makes the IVs. */
export function tokenMakesIvs(mode: IvMode): boolean {
  return mode !== "host" && mode !== "host-message";
}
