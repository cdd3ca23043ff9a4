/**
 * Lets one piece of code serve synchronous engines and stores at full speed and asynchronous ones at all: a value may
 * be here already or still to come.
 */

export type MaybePromise<T> = T | Promise<T>;

/** Applies `next` to a value at once when it is here, later when it is to come. */
export function whenReady<T, R>(
  value: MaybePromise<T>,
  next: (value: T) => MaybePromise<R>,
): MaybePromise<R> {
  return value instanceof Promise ? value.then(next) : next(value);
}
