// Bun: bun examples/edge/bun.js serves the same handler on PORT.
import process from "node:process";
import worker from "./cloudflare.js";

Bun.serve({
  port: Number(process.env.PORT),
  hostname: "127.0.0.1",
  fetch: (request) => worker.fetch(request, process.env),
});
