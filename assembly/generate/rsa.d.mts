/** Types of the generator for the tests. */

/** Writes the generated files of RSA, or tells what differs where `check` is set. */
export function generateRsa(options?: { check?: boolean }): Promise<string | undefined>;
