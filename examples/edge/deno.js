// Deno: deno run --allow-net --allow-env examples/edge/deno.js serves the same handler on PORT.
import process from "node:process";
import worker from "./cloudflare.js";

Deno.serve({ port: Number(process.env.PORT), hostname: "127.0.0.1" }, (request) =>
  worker.fetch(request, process.env),
);
