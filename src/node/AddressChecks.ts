/**
 * Has other members try where this node says that it is reached, from time to time, and says so when
 * nobody gets there: a wrong `announce` is otherwise noticed by those who cannot join.
 */
import { Clock, Effect, Queue, Random, type Scope } from "effect"
import { Supervisor } from "../mesh/actor/Supervisor.ts"
import type { MeshRpcError } from "../mesh/host/MeshRpc.ts"
import type { MeshRpcClient } from "../mesh/host/MeshRpcClients.ts"
import type { PeerKey } from "../model/Names.ts"
import {
  type AddressReport,
  AnnouncedAddresses,
  isCutOff,
  type Verdict
} from "./AnnouncedAddresses.ts"

export interface AddressChecksOptions {
  /** What the node announces: multiaddrs without /p2p. */
  readonly addresses: () => ReadonlyArray<string>
  /** They stand in the config. Else they are those of the host, of which one may well be nobody's. */
  readonly isConfigured: boolean
  /** Members that can be asked. */
  readonly peers: () => ReadonlyArray<PeerKey>
  readonly client: (peer: PeerKey) => Effect.Effect<MeshRpcClient, MeshRpcError>
  readonly nameOf: (peer: PeerKey) => string
}

export interface AddressChecks {
  /** As in the options. */
  readonly isConfigured: boolean
  readonly reports: () => ReadonlyArray<AddressReport>
  /** Has tried what nobody has said anything about yet, as far as members can be asked. */
  readonly tryNow: Effect.Effect<void>
  /** A member is connected that was not before. */
  readonly memberUp: () => void
}

/** Members whose "not reached" is enough. */
const enough = 3
/**
 * Whom to ask for one answer: one, who nearly always reaches it; where it does not, two at once, as
 * each may wait for its time to run out; and three more while too few of them could say.
 */
const rounds = (peers: ReadonlyArray<PeerKey>): ReadonlyArray<ReadonlyArray<PeerKey>> => [
  peers.slice(0, 1),
  peers.slice(1, 3),
  peers.slice(3, 6)
]
/** Without anybody to ask, and as a guard against a clock that jumps, ms. */
const longestPause = 60_000
/** What waits for a first answer waits no longer: two rounds in which nobody gets anywhere. */
const patience = "7 seconds"

const monotonic = Effect.map(Effect.clock, (clock) => Number(clock.unsafeCurrentTimeNanos()) / 1e6)

export const keepAddresses = (
  options: AddressChecksOptions
): Effect.Effect<AddressChecks, never, Scope.Scope | Supervisor> =>
  Effect.gen(function* () {
    const { addresses, client, isConfigured, nameOf, peers } = options
    const supervisor = yield* Supervisor
    const clock = yield* Effect.clock
    const book = new AnnouncedAddresses()
    const wakes = yield* Queue.sliding<void>(1)
    // The loop and whoever cannot wait for it ask one after the other.
    const turns = yield* Effect.makeSemaphore(1)
    const names = (by: ReadonlyArray<PeerKey>) => by.map(nameOf).join(", ")

    const askOne = (peer: PeerKey, address: string) =>
      client(peer).pipe(
        Effect.flatMap((one) => one.DialBack({ address })),
        Effect.map(({ reached }) => ({ peer, reached })),
        // It does not know our record yet, is busy with others, or is of an older version.
        Effect.orElseSucceed(() => undefined)
      )

    const ask = (address: string): Effect.Effect<Verdict | undefined> =>
      Effect.gen(function* () {
        const order = Array.from(yield* Random.shuffle(peers()))
        const missed: Array<PeerKey> = []
        for (const asked of rounds(order)) {
          const answers = yield* Effect.forEach(asked, (peer) => askOne(peer, address), {
            concurrency: "unbounded"
          })
          const heard = answers.filter((answer) => answer !== undefined)
          const reached = heard.find((answer) => answer.reached)
          if (reached !== undefined) return { reached: true, by: [reached.peer] }
          missed.push(...heard.map(({ peer }) => peer))
          if (missed.length >= enough) break
        }
        return missed.length === 0 ? undefined : { reached: false, by: missed }
      })

    const tell = (address: string, news: "lost" | "back", by: ReadonlyArray<PeerKey>) => {
      const reports = book.reports()
      if (news === "back") {
        return Effect.logInfo(`${names(by)} reaches this node at ${address} again`)
      }
      if (isConfigured) {
        return Effect.logWarning(
          `no member reaches this node at ${address}, which it announces (tried by ${names(by)}): nobody new can connect to it there; check node.announce, and what forwards to this host`
        )
      }
      return isCutOff(reports)
        ? Effect.logWarning(
            `no member reaches this node at ${reports.map((one) => one.address).join(", ")} (tried by ${names(by)}): others can be called from here, and nobody can connect to it; set node.announce to where they reach it, or open the port`
          )
        : Effect.void
    }

    const round = (address: string): Effect.Effect<void> =>
      Effect.gen(function* () {
        const verdict = yield* ask(address)
        const moment = {
          now: yield* monotonic,
          wall: yield* Clock.currentTimeMillis,
          random: yield* Random.next
        }
        const news = book.heard(address, verdict, moment)
        if (news !== undefined) yield* tell(address, news, verdict?.by ?? [])
      })

    const loop = Effect.gen(function* () {
      const now = yield* monotonic
      book.follow(addresses(), now)
      const due = peers().length === 0 ? [] : book.due(now)
      for (const address of due) yield* turns.withPermits(1)(round(address))
      if (due.length > 0) return
      const pause = peers().length === 0 ? longestPause : (book.nextAt ?? now + longestPause) - now
      yield* Effect.timeoutOption(Queue.take(wakes), Math.max(1, Math.min(pause, longestPause)))
    })
    yield* supervisor.supervise({
      name: "addresses",
      live: () => Effect.forever(loop),
      mailbox: () => ({ size: 0, dropped: 0 })
    })

    return {
      isConfigured,
      reports: () => book.reports(),
      tryNow: Effect.gen(function* () {
        book.follow(addresses(), yield* monotonic)
        yield* Effect.forEach(
          book.reports().filter(({ checkedAt }) => checkedAt === undefined),
          ({ address }) =>
            turns.withPermits(1)(
              // It may have had its answer while this waited.
              Effect.suspend(() => (isUnheard(book, address) ? round(address) : Effect.void))
            ),
          { discard: true }
        )
      }).pipe(Effect.timeoutOption(patience), Effect.asVoid),
      memberUp: () => {
        book.memberUp(Number(clock.unsafeCurrentTimeNanos()) / 1e6)
        Queue.unsafeOffer(wakes, undefined)
      }
    }
  })

const isUnheard = (book: AnnouncedAddresses, address: string): boolean =>
  book.reports().some((one) => one.address === address && one.checkedAt === undefined)
