/**
 * What happens here when somebody is thrown out of the mesh, or a service is taken from it: its session
 * ends, and with it every link that request threads made of it; its connections are closed, and so it is in
 * no gossip; its records are taken out, and so no call is sent to it. In this order, and the first two
 * before anything else is done.
 */
import { Effect } from "effect"
import type { CatalogueShape } from "../mesh/catalogue/CatalogueService.ts"
import type { ConnectionKeeper } from "../mesh/host/ConnectionKeeper.ts"
import type { AdmittedPeers } from "../mesh/trust/AdmittedPeers.ts"
import {
  describeRevocation,
  type Revocation,
  type Revocations,
  type RevocationsCell
} from "../mesh/trust/Revocations.ts"
import type { SessionBook } from "../mesh/trust/SessionBook.ts"
import type { PeerKey } from "../model/Names.ts"

export interface ExpulsionOptions {
  readonly self: PeerKey
  /** Where everybody looks who judges somebody. */
  readonly cell: RevocationsCell
  /** By what this node itself is out, as the cell has it. */
  readonly thrownOut: () => string | undefined
  readonly admitted: Pick<AdmittedPeers, "certificates">
  readonly sessions: Pick<SessionBook, "certificates" | "end">
  readonly keeper: Pick<ConnectionKeeper, "disconnect">
  readonly catalogue: Pick<CatalogueShape, "rejudge" | "resign">
  /** Also of sessions that this life of the mesh thread has not made. */
  readonly onSessionEnd: (peer: PeerKey, reason: string) => void
}

const without = (
  all: ReadonlyArray<Revocation>,
  known: ReadonlyArray<Revocation>
): ReadonlyArray<Revocation> => {
  const texts = new Set(known.map(describeRevocation))
  return all.filter((one) => !texts.has(describeRevocation(one)))
}

const peersIn = (revocations: ReadonlyArray<Revocation>): ReadonlyArray<PeerKey> =>
  revocations.flatMap(({ body }) => (body.revoke === "invite" ? [] : [body.peer]))

/** Cuts off whoever is out, at once. */
const cut = (before: Revocations, options: ExpulsionOptions): void => {
  const { admitted, cell, keeper, onSessionEnd, sessions } = options
  const now = cell.current
  const thrownOut = options.thrownOut()
  for (const { body } of without(now.all, before.all)) {
    if (body.revoke === "node") onSessionEnd(body.peer, "it was thrown out of the mesh")
  }
  const met = [...sessions.certificates(), ...admitted.certificates()]
  for (const [peer, certificate] of new Map(met.map((one) => [one.peer, one]))) {
    const out = now.outBy(certificate)
    const reason = thrownOut ?? (out && describeRevocation(out))
    if (reason !== undefined) {
      sessions.end(peer, reason)
      keeper.disconnect(peer, new Error(reason))
    } else if (!now.agree(before, certificate)) {
      // What it may do has changed: what is under way was begun under what it might.
      sessions.end(peer, `the services of ${certificate.name} are others now`)
    }
  }
}

/**
 * From now on the mesh is as these say: when this returns, whoever is out is cut off. What is left to do is
 * done when no record speaks against them.
 */
export const hearRevocations = (
  next: Revocations,
  options: ExpulsionOptions
): Effect.Effect<void> => {
  const { catalogue, cell, self } = options
  const before = cell.current
  const [made, gone] = [without(next.all, before.all), without(before.all, next.all)]
  if (made.length === 0 && gone.length === 0) return Effect.void
  cell.current = next
  cut(before, options)
  const changed = peersIn([...made, ...gone])
  const told = Effect.forEach(
    [
      ...made.map(describeRevocation),
      ...gone.map((one) => `it holds no longer that ${describeRevocation(one)}`)
    ].slice(0, mostTold),
    (message) => Effect.logWarning(message),
    { discard: true }
  )
  return told.pipe(
    Effect.zipRight(catalogue.rejudge(changed.filter((peer) => peer !== self))),
    // What of it others see is another now.
    Effect.zipRight(changed.includes(self) ? catalogue.resign : Effect.void)
  )
}

/** In one go; a node that was away for long hears of many. */
const mostTold = 32
