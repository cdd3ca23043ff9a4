/** Guest in a browser page: the host calls `keyplaneSuite`, which runs the suite here or in a worker. */

import { library } from "./library.ts";
import { runSuite } from "./suite.ts";

type Place = "page" | "worker" | "service worker";

async function keyplaneSuite(place: Place, request: string): Promise<string> {
  if (place === "page") return JSON.stringify(await runSuite(library, JSON.parse(request)));
  const { port1, port2 } = new MessageChannel();
  const answer = new Promise<string>((resolve, reject) => {
    port1.onmessage = ({ data }) => resolve(data);
    if (place === "worker") {
      const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
      worker.onerror = (event) => reject(new Error(`worker: ${event.message}`));
      worker.postMessage(request, [port2]);
    } else {
      serviceWorker().then((active) => active.postMessage(request, [port2]), reject);
    }
  });
  return answer;
}

async function serviceWorker(): Promise<ServiceWorker> {
  const { serviceWorker: container } = navigator;
  const registration = await container.register(new URL("./service-worker.js", import.meta.url), {
    type: "module",
  });
  const worker = registration.active ?? registration.waiting ?? registration.installing;
  if (worker === null) throw new Error("no service worker");
  while (worker.state !== "activated") {
    if (worker.state === "redundant") throw new Error("the service worker did not install");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return worker;
}

Object.assign(globalThis, { keyplaneSuite });
