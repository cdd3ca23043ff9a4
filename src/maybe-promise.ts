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

/** Runs `last` when the work is done or has failed, now or later. */
export function finallyRun<T>(work: () => MaybePromise<T>, last: () => void): MaybePromise<T> {
  let result: MaybePromise<T>;
  try {
    result = work();
  } catch (error) {
    last();
    throw error;
  }
  if (result instanceof Promise) return result.finally(last);
  last();
  return result;
}

/** Runs `undo` if the work fails, now or later. */
export function onFailure<T>(work: () => MaybePromise<T>, undo: () => void): MaybePromise<T> {
  const failed = (error: unknown): never => {
    undo();
    throw error;
  };
  try {
    const result = work();
    return result instanceof Promise ? result.catch(failed) : result;
  } catch (error) {
    return failed(error);
  }
}
