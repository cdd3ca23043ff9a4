/** A Kms that runs in a worker, used from a page: `serveKms` there, `connectKms` here. Nothing is defined here. */

export { KmsError, type KmsErrorCode } from "./errors.ts";
export { type ConnectOptions, connectKms, type KmsWorker, type RemoteKms } from "./worker/client.ts";
export { type KmsWorkerScope, serveKms } from "./worker/host.ts";
