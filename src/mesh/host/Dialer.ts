/** Reaching nodes of which only addresses are known: how a node joins, and how it finds back. */
import { multiaddr } from "@multiformats/multiaddr"
import { Effect } from "effect"
import { PeerKey } from "../../model/Names.ts"
import { DialError, reasonOf } from "./HostError.ts"
import type { MeshHostShape } from "./MeshHost.ts"

export interface DialOptions {
  /** For one address, ms. Default 3,000. */
  readonly timeout?: number
}

/**
 * Tries the addresses (multiaddrs, with or without /p2p) in order until one leads to an admitted
 * node; that node's key. The connection stays open for whoever needs it next.
 */
export const dialAddresses = (
  host: MeshHostShape,
  addresses: ReadonlyArray<string>,
  options: DialOptions = {}
): Effect.Effect<PeerKey, DialError> =>
  Effect.gen(function* () {
    const { timeout = 3_000 } = options
    const attempts: Array<{ readonly address: string; readonly reason: string }> = []
    for (const address of new Set(addresses)) {
      const outcome = yield* Effect.tryPromise({
        try: async (signal) => {
          const limit = AbortSignal.any([signal, AbortSignal.timeout(timeout)])
          return await host.libp2p.dial(multiaddr(address), { signal: limit })
        },
        catch: reasonOf
      }).pipe(Effect.either)
      if (outcome._tag === "Right") return PeerKey.make(outcome.right.remotePeer.toString())
      attempts.push({ address, reason: outcome.left })
    }
    const tried = attempts.map(({ address, reason }) => `${address}: ${reason}`).join("; ")
    return yield* attempts.length === 0
      ? new DialError({ code: "no_address", message: "no address to dial is known", attempts })
      : new DialError({ code: "unreachable", message: `no node answered (${tried})`, attempts })
  })
