/**
 * Brings this node under the newest root of its mesh while a root is replaced, and does not wait until its
 * certificate is due: members that are there already are asked to sign, those that are connected first. All
 * nodes hear of a new root at once and begin at a moment of their own, spread by how many there are.
 */
import { Clock, Effect, Either, Queue, Random, type Scope } from "effect"
import { Supervisor } from "../mesh/actor/Supervisor.ts"
import { grantsCapability, uncovered } from "../mesh/trust/Grant.ts"
import { distanceOf, renewalOrder } from "../mesh/trust/Nearness.ts"
import { holdsRivalOf, type NodeIdentity } from "../mesh/trust/NodeIdentity.ts"
import { renewSelf } from "../mesh/trust/Renewal.ts"
import { holdsNewestRoot } from "../mesh/trust/RootRotation.ts"
import type { PeerKey } from "../model/Names.ts"
import { adoptCertificate, certificateFrom, type RenewalOptions } from "./CertificateRenewal.ts"
import { describeLacking, rightsNobodyHolds } from "./RootStanding.ts"

export interface RootMoveOptions
  extends Pick<RenewalOptions, "client" | "dataDir" | "identity" | "onRenewed" | "signers"> {
  /** All other members with a certificate, connected or not. */
  readonly members: () => ReadonlyArray<PeerKey>
}

/** Of the time by which the beginnings are spread: so much for each member, ms… */
const spreadPerMember = 50
/** …and no more in all. */
const longestSpread = 60_000
/** Between two tries, ms: the first, and no more than. Each asks a few. */
const firstPause = 500
const longestPause = 30_000
const askedAtOnce = 4
/** Who has moved is known from what was shown here, which may be old: after so many tries others are asked too. */
const othersAfter = 2
/** Of these, those whose certificates hold all rights of this node's come first. */
const ableAtOnce = 3
/** Tries in vain after which it is said why, some 15 s after the first. */
const saidAfter = 5

/**
 * Does its certificate, or its right to sign, still stand under a root that it is to leave? Who holds the key
 * of a rival of the newest stays where it is.
 */
export const isUnderOldRoot = (identity: NodeIdentity): boolean => {
  const { authority, certificate, delegations, roots } = identity
  const newest = roots.newest.id
  if (holdsRivalOf(identity, newest)) return false
  return certificate.root !== newest || (delegations.length > 0 && authority?.root !== newest)
}

/**
 * Who could bring it under the newest root, best first. Whoever is there by its newest certificate may be
 * asked; those that are not connected after those that are, by chance. Of those whose certificates hold less than
 * this node's one may have the root's key, by which it signs for everybody: the nearest to the root likelier.
 */
export const moversFor = (
  identity: NodeIdentity,
  { certificateOf, peers }: ReturnType<RootMoveOptions["signers"]>,
  members: ReadonlyArray<PeerKey>,
  now: number,
  random: number
): ReadonlyArray<PeerKey> => {
  const newest = identity.roots.newest.id
  const signing = (peer: PeerKey) => {
    const theirs = certificateOf(peer)
    return theirs?.root === newest && grantsCapability(theirs, "admit") ? theirs : undefined
  }
  const isAble = (peer: PeerKey): boolean => {
    const theirs = signing(peer)
    return theirs !== undefined && uncovered(theirs, identity.certificate).length === 0
  }
  const ordered = renewalOrder(identity, { peers: peers.filter(isAble), certificateOf }, now)
  const connected = ordered.flatMap((who) => (who === "own hand" ? [] : [who]))
  const others = members.filter((peer) => isAble(peer) && !connected.includes(peer))
  const able = [...connected, ...byChance(others, random)]
  const narrow = byChance(members, random)
    .flatMap((peer) => {
      const theirs = isAble(peer) ? undefined : signing(peer)
      return theirs === undefined ? [] : [{ peer, distance: distanceOf(theirs) }]
    })
    .sort((a, b) => a.distance - b.distance)
    .map(({ peer }) => peer)
  return [...able.slice(0, ableAtOnce), ...narrow, ...able.slice(ableAtOnce)].slice(0, askedAtOnce)
}

const byChance = (peers: ReadonlyArray<PeerKey>, random: number): ReadonlyArray<PeerKey> => {
  const from = Math.floor(random * peers.length)
  return [...peers.slice(from), ...peers.slice(0, from)]
}

/**
 * Whom to ask where those that are known to be under the newest root do not sign, or nobody is: those that are connected
 * and may sign at all. What is known here of a certificate may be older than what its holder has.
 */
export const perhapsMovers = (
  { certificateOf, peers }: ReturnType<RootMoveOptions["signers"]>,
  random: number
): ReadonlyArray<PeerKey> => {
  const signing = peers.filter((peer) => {
    const theirs = certificateOf(peer)
    return theirs !== undefined && grantsCapability(theirs, "admit")
  })
  return byChance(signing, random).slice(0, askedAtOnce)
}

/** Until the scope closes. Answers how it is told that there is another root. */
export const keepUnderNewestRoot = (
  options: RootMoveOptions
): Effect.Effect<{ readonly wake: () => void }, never, Scope.Scope | Supervisor> =>
  Effect.gen(function* () {
    const { identity } = options
    const supervisor = yield* Supervisor
    const woken = yield* Queue.sliding<void>(1)

    const moved = Effect.fnUntraced(function* (tries: number) {
      const now = yield* Clock.currentTimeMillis
      const { current } = identity
      if (holdsNewestRoot(current)) {
        const renewed = renewSelf(current, now)
        return Either.isRight(renewed) ? renewed.right : undefined
      }
      const random = yield* Random.next
      const signers = options.signers()
      const known = moversFor(current, signers, options.members(), now, random)
      const others = tries < othersAfter ? [] : perhapsMovers(signers, random)
      const asked = new Set([...known, ...others])
      for (const peer of asked) {
        const renewed = yield* Effect.either(certificateFrom(options, peer))
        // The handshake that it took may have moved this node as well.
        if (!isUnderOldRoot(identity.current)) return undefined
        if (Either.isRight(renewed) && renewed.right.certificate.root === current.roots.newest.id) {
          return renewed.right
        }
      }
      return undefined
    })

    /** Somebody has to see to it, and hears of it here or where `skein root status` is asked. */
    const tellWhy = Effect.suspend(() => {
      const { certificate, roots } = identity.current
      const { certificateOf } = options.signers()
      const theirs = options.members().flatMap((peer) => certificateOf(peer) ?? [])
      const lacking = rightsNobodyHolds(roots, certificate, theirs)
      return Effect.logWarning(
        `this node still stands under the root ${certificate.root}, which is being replaced by ${roots.newest.id}: ${
          lacking.length === 0
            ? "nobody that could sign for it answers in time"
            : describeLacking(lacking)
        }`
      )
    })

    const round = Effect.gen(function* () {
      if (!isUnderOldRoot(identity.current)) yield* Queue.take(woken)
      const spread = Math.min(longestSpread, (options.members().length + 1) * spreadPerMember)
      yield* Effect.sleep((yield* Random.next) * spread)
      let tries = 0
      for (let pause = firstPause; isUnderOldRoot(identity.current); ) {
        const renewed = yield* moved(tries)
        tries++
        if (renewed !== undefined) {
          yield* adoptCertificate(options, renewed)
          yield* Effect.logInfo(
            `the certificate stands under the root ${renewed.certificate.root} now`
          )
        }
        if (!isUnderOldRoot(identity.current)) break
        if (tries === saidAfter) yield* tellWhy
        yield* Effect.sleep(pause)
        pause = Math.min(longestPause, pause * 2)
      }
    })
    yield* supervisor.supervise({
      name: "root",
      live: () => Effect.forever(round),
      mailbox: () => ({ size: 0, dropped: 0 })
    })
    return { wake: () => void woken.unsafeOffer(undefined) }
  })
