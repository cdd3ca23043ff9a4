/** Guest in a dedicated worker or a service worker of a browser: answers each message with a report. */

import { library } from "./library.ts";
import { runSuite } from "./suite.ts";

interface Message {
  readonly data: string;
  readonly ports: readonly MessagePort[];
  /** Keeps a service worker alive; a dedicated one has no such thing. */
  waitUntil?(work: Promise<void>): void;
}

const scope = globalThis as unknown as {
  addEventListener(name: "message", listener: (event: Message) => void): void;
};

scope.addEventListener("message", (event) => {
  const work = runSuite(library, JSON.parse(event.data)).then((report) => {
    event.ports[0]?.postMessage(JSON.stringify(report));
  });
  event.waitUntil?.(work);
});
