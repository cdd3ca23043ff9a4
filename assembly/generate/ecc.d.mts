/** Types of the generator for the tests. */

/** Writes the generated files of the elliptic curves, or tells what differs where `check` is set. */
export function generateEcc(options?: { check?: boolean }): Promise<string | undefined>;
