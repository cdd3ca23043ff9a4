// A Worker: the remote KMS is an HTTP endpoint, its address and the public key (SPKI, base64) are variables of the Worker.
import handler from "./worker.js";

export default {
  fetch(request, { KMS_URL, PUBLIC_KEY }) {
    return handler.fetch(request, {
      publicKey: Uint8Array.from(atob(PUBLIC_KEY), (character) => character.charCodeAt(0)),
      async unwrapDataKey(body) {
        const response = await fetch(KMS_URL, { method: "POST", body });
        if (!response.ok) throw new Error(`the KMS answered ${response.status}`);
        return new Uint8Array(await response.arrayBuffer());
      },
    });
  },
};
