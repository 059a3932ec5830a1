/** Somebody ends the run before its time: that is told as such, not as what it breaks. */

const numbers = { SIGINT: 2, SIGTERM: 15, SIGHUP: 1 } as const
type Ending = keyof typeof numbers
const endings: ReadonlyArray<Ending> = ["SIGINT", "SIGTERM", "SIGHUP"]

export class Interrupted extends Error {
  /** As shells count: 128 and the signal's number. */
  readonly exitCode: number

  constructor(signal: Ending, seconds: number) {
    const limit =
      signal === "SIGTERM"
        ? " If a time limit stands over it, raise that, or ask for less: --quick, --rounds, --cases, --peers."
        : ""
    super(`ended by ${signal} after ${Math.round(seconds)} s, without a result.${limit}`)
    this.name = "Interrupted"
    this.exitCode = 128 + numbers[signal]
  }
}

/**
 * What the work gives, or Interrupted as soon as a signal says so. The work is not waited for then:
 * whoever cleans up takes away what it stands on, and what it makes of that is nobody's business.
 */
export const unlessInterrupted = async <A>(work: Promise<A>): Promise<A> => {
  const began = performance.now()
  const interruption = Promise.withResolvers<never>()
  const stop = (signal: NodeJS.Signals): void => {
    const ending = endings.find((one) => one === signal) ?? "SIGTERM"
    interruption.reject(new Interrupted(ending, (performance.now() - began) / 1_000))
  }
  for (const ending of endings) process.once(ending, stop)
  try {
    return await Promise.race([work, interruption.promise])
  } finally {
    for (const ending of endings) process.removeListener(ending, stop)
  }
}
