/** The node's log, in which an error that is logged beside a message can be read. */
import { Array as Arr, Cause, Logger } from "effect"

/**
 * Of a message's parts a logger takes causes apart by itself and shows the others as JSON, in which
 * an Error is `{}`: whoever reads the log would learn that something broke, and not what.
 */
export const tellErrors = <Output>(
  logger: Logger.Logger<unknown, Output>
): Logger.Logger<unknown, Output> =>
  Logger.mapInputOptions(logger, (options: Logger.Logger.Options<unknown>) => {
    const parts = Arr.ensure(options.message)
    const errors = parts.filter((part) => part instanceof Error)
    if (errors.length === 0) return options
    return {
      ...options,
      message: parts.filter((part) => !(part instanceof Error)),
      cause: errors.reduce<Cause.Cause<unknown>>(
        (cause, error) => Cause.sequential(cause, Cause.die(error)),
        options.cause
      )
    }
  })
