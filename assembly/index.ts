/**
 * Every name the main module exports. The functions take slots and lengths, never addresses, and check both, so that no
 * argument makes a kernel leave its regions; all arguments and results are public.
 */

export * from "./aes-gcm/index";
export * from "./aes-kw/index";
export * from "./hash/index";
