/**
 * Tries for another member whether it can be reached where it says. Only at an address that its own
 * signed record announces, so that what is dialled is known to all and has its author; never at one
 * that means this host or its link alone; within `DialBackLimits`. Whether the address is closed,
 * silent or somebody else's stays here.
 */
import { Effect } from "effect"
import { parseMultiaddr } from "../config/Multiaddr.ts"
import { reasonOf } from "../mesh/host/HostError.ts"
import type { MeshHostShape } from "../mesh/host/MeshHost.ts"
import { MeshRpcError } from "../mesh/host/MeshRpc.ts"
import type { PeerKey } from "../model/Names.ts"
import { DialBackLimits } from "./DialBackLimits.ts"
import { isLoopbackIp, mayBeTried } from "./TriedAddress.ts"

export type TrialHost = Pick<MeshHostShape, "answersAt" | "connections" | "knock">

export interface DialBackOptions {
  readonly host: TrialHost
  /** The addresses in the member's own record; none when it has none. */
  readonly announced: (peer: PeerKey) => ReadonlyArray<string>
  /** Monotonic, ms. */
  readonly now: () => number
  /** From dialling to the proof who is there, ms. Default 3,000. */
  readonly timeout?: number
}

export type DialBack = (
  peer: PeerKey,
  address: string
) => Effect.Effect<{ readonly reached: boolean }, MeshRpcError>

const ipIn = (address: string): string => parseMultiaddr(address)?.host ?? ""

/** Does the peer answer at the address? What is not to be tried for it is not dialled. */
export const tryAddress = (
  host: TrialHost,
  peer: PeerKey,
  address: string,
  timeout: number
): Effect.Effect<boolean> => {
  // One on this very host: loopback is its own as well.
  const isSameHost = host.connections(peer).some((one) => isLoopbackIp(ipIn(one.address)))
  const allows = (ip: string): boolean => mayBeTried(ip, isSameHost)
  const target = parseMultiaddr(address)
  // Hosts have addresses alike, such as those of bridges between containers: there we would knock at
  // our own door, and log a stranger.
  const isTried =
    target !== undefined &&
    (!target.kind.startsWith("ip") || allows(target.host)) &&
    !host.answersAt(address)
  if (!isTried) return Effect.succeed(false)
  return Effect.tryPromise({
    try: (signal) =>
      host.knock(peer, address, {
        signal: AbortSignal.any([signal, AbortSignal.timeout(timeout)]),
        allows
      }),
    catch: reasonOf
  }).pipe(
    Effect.as(true),
    Effect.catchAll((reason) =>
      Effect.as(Effect.logDebug(`${peer} is not reached at ${address}: ${reason}`), false)
    )
  )
}

export const makeDialBack = (options: DialBackOptions): DialBack => {
  const { host, announced, now, timeout = 3_000 } = options
  const limits = new DialBackLimits(now())

  return (peer, address) =>
    Effect.suspend(() => {
      if (!announced(peer).includes(address)) {
        return new MeshRpcError({
          code: "refused",
          message: `${address} is not an address that the node's record announces, as it is known here`
        })
      }
      const refusal = limits.begin(peer, now())
      return refusal === undefined
        ? Effect.ensuring(
            Effect.map(tryAddress(host, peer, address, timeout), (reached) => ({ reached })),
            Effect.sync(() => limits.end(peer))
          )
        : new MeshRpcError({ code: "unavailable", message: refusal })
    })
}
