/** Ports for what is about to be started. */
import { randomInt } from "node:crypto"
import { createServer, type Server } from "node:net"
import { Effect } from "effect"
import { StepFailed } from "./StepFailed.ts"

/**
 * Ports nobody uses just now, all held until all are found, so that no two are the same. They lie
 * below those that systems give to whoever asks for any port, or connects: else a program that was
 * started meanwhile could be given one of them before the node that is to have it has started.
 */
export const freePorts = (count: number): Effect.Effect<ReadonlyArray<number>, StepFailed> =>
  Effect.tryPromise({
    try: async () => {
      const held = new Map<number, Server>()
      for (let tries = 0; held.size < count; tries++) {
        if (tries > 100 * count) throw new Error("every port tried was taken")
        const port = randomInt(10_000, 30_000)
        if (held.has(port)) continue
        const server = createServer()
        const listens = await new Promise<boolean>((resolve) => {
          server.once("error", () => resolve(false))
          server.listen(port, "127.0.0.1", () => resolve(true))
        })
        if (listens) held.set(port, server)
      }
      await Promise.all(
        Array.from(held.values(), (server) => new Promise((closed) => server.close(closed)))
      )
      return [...held.keys()]
    },
    catch: (cause) => new StepFailed({ message: `no free port on 127.0.0.1: ${cause}` })
  })
