/**
 * Membership as the rest of the node meets it: beliefs to read, hints to give, answers for other
 * nodes. Fed with the records of the catalogue by whoever joins the two.
 */
import { Effect, Either, Random, Runtime, type Scope } from "effect"
import type { NodeName, PeerKey } from "../../model/Names.ts"
import type { NodeRecord } from "../../model/NodeRecord.ts"
import { spawn, tellSurely } from "../actor/Actor.ts"
import type { Supervisor } from "../actor/Supervisor.ts"
import type { TickTimers } from "../actor/Ticking.ts"
import { Gossip, type GossipVerdict } from "../host/Gossip.ts"
import { MeshRpcError } from "../host/MeshRpc.ts"
import { type Conduct, noConduct } from "../trust/PeerConduct.ts"
import { scaled } from "./Awareness.ts"
import { evidenceAnswer, evidenceLimits } from "./EvidenceAnswer.ts"
import { membershipBehaviour } from "./MembershipBehaviour.ts"
import type { MembershipAction, MembershipMessage, Said } from "./MembershipMessages.ts"
import { defaultMembershipOptions, type MembershipOptions } from "./MembershipOptions.ts"
import {
  type MembershipPort,
  performAskHelpers,
  pingResult,
  unavailable
} from "./MembershipPort.ts"
import {
  type MembershipState,
  makeMembershipState,
  nextDue,
  recoverMembership,
  watchedFrom
} from "./MembershipState.ts"
import { evidenceOf, type MemberState, memberOf, movedIn } from "./MemberTable.ts"
import { type MemberView, memberViews } from "./MemberView.ts"
import { isNews, isUnknown } from "./News.ts"
import type { AnswerPing } from "./Pings.ts"
import { RecordNews } from "./RecordNews.ts"
import type { StatementDoor } from "./Statement.ts"

export interface MembershipServiceOptions {
  readonly self: PeerKey
  readonly name: NodeName
  readonly door: StatementDoor
  readonly port: MembershipPort
  /** By whose timers it probes. Default: the clock of its fibers. */
  readonly ticker?: TickTimers | undefined
  readonly options?: Partial<MembershipOptions>
  /** Default: nobody's words are counted. */
  readonly conduct?: Conduct | undefined
  /** Told of every accusation of this node: by gossip, and to its face. */
  readonly onAccused?: (by: PeerKey) => void
  /** Told of a peer that has been silent for so long that its connection is better made anew. */
  readonly onGivenUp?: (peer: PeerKey) => void
}

export interface MembershipShape {
  /** All members, this node first. Computed at each call. */
  readonly members: () => ReadonlyArray<MemberView>
  /** Undefined for a node without a record. */
  readonly stateOf: (peer: PeerKey) => MemberState | undefined
  /** Those whom this node watches: keep a connection to each. */
  readonly subjects: () => ReadonlyArray<PeerKey>
  /** 0 (healthy) to 8: how doubtful this node is of its own judgement. */
  readonly awareness: () => number
  /**
   * Called synchronously when members came or went, or are in another state or zone, with those;
   * answers how to stop.
   */
  readonly subscribe: (listener: (moved: ReadonlySet<PeerKey>) => void) => () => void
  /** Records that came or changed in the catalogue, and peers whose record is gone from it. */
  readonly changeRecords: (records: Iterable<NodeRecord>, gone: Iterable<PeerKey>) => void
  /** Hints from the link pool: the peer is looked at now rather than at its next turn. */
  readonly linkUp: (peer: PeerKey) => void
  readonly linkDown: (peer: PeerKey) => void
  /** Answers the ping of `from`: at once, but for one that accuses; not at all when it is behind. */
  readonly answerPing: AnswerPing
  /** Answers to the questions of the same names in MeshRpc. */
  readonly handlers: {
    readonly Probe: (payload: {
      readonly peer: PeerKey
    }) => Effect.Effect<{ readonly reachable: boolean }, MeshRpcError>
    readonly MembershipEvidence: (payload: {
      readonly about?: ReadonlyArray<PeerKey> | undefined
    }) => Effect.Effect<ReadonlyArray<Uint8Array>>
  }
}

/** Messages that may wait. Statements beyond it are repeated or pulled, probes time out. */
const mailboxCapacity = 4_096

/** Of so many ticks that find nothing to do one comes, to see whether this node is late. */
const quietTick = 5

/** Probes for others at the same time. */
const maxProbesForOthers = 32

/**
 * All records are told anew so often, for what only a clock that was set changes: a member's
 * incarnation that was believed while this host's clock was ahead.
 */
const repeatRecords = "1 minute"

/** Statements verified in one turn of the event loop. */
const verifyBatch = 8

export const makeMembership = (
  setup: MembershipServiceOptions
): Effect.Effect<MembershipShape, never, Scope.Scope | Supervisor | Gossip> =>
  Effect.gen(function* () {
    const { self, door, port, onAccused = () => undefined, onGivenUp = () => undefined } = setup
    const conduct = setup.conduct ?? noConduct
    const options: MembershipOptions = { ...defaultMembershipOptions, ...setup.options }
    const gossip = yield* Gossip
    const clock = yield* Effect.clock
    const runtime = yield* Effect.runtime()
    const scope = yield* Effect.scope
    const runFork = <A, E>(effect: Effect.Effect<A, E>) =>
      Runtime.runFork(runtime)(effect, { scope })
    const startedAt = clock.unsafeCurrentTimeMillis()

    let state = makeMembershipState(self)
    const listeners = new Set<(moved: ReadonlySet<PeerKey>) => void>()
    const publish = (next: MembershipState) => {
      state = next
      const moved = movedIn(next)
      if (moved.size === 0) return
      for (const listener of listeners) {
        try {
          listener(moved)
        } catch (cause) {
          // A listener's bug is its own: failure detection and the other listeners go on.
          runFork(Effect.logError("a listener of membership failed", cause))
        }
      }
    }

    // The same clocks as the actor's.
    const moment = () => ({
      now: Number(clock.unsafeCurrentTimeNanos()) / 1e6,
      wall: clock.unsafeCurrentTimeMillis()
    })
    const admit = (bytes: Uint8Array) => door.admit(bytes, clock.unsafeCurrentTimeMillis())

    const hearAll = (
      envelopes: ReadonlyArray<Uint8Array>,
      tell: (message: MembershipMessage) => boolean
    ) =>
      Effect.gen(function* () {
        const all = envelopes.slice(0, evidenceLimits.statements)
        for (let from = 0; from < all.length; from += verifyBatch) {
          if (from > 0) yield* Effect.sleep(0)
          const said: Array<Said> = []
          for (const bytes of all.slice(from, from + verifyBatch)) {
            const statement = admit(bytes)
            if (Either.isRight(statement)) said.push({ statement: statement.right, bytes })
          }
          if (said.length > 0) tell({ _tag: "Evidence", said })
        }
      })

    const records = new RecordNews()
    let delivering = false
    const step = membershipBehaviour(options, door.seal)

    const actor = yield* spawn<MembershipState, MembershipMessage, MembershipAction, never, never>({
      name: "membership",
      mailbox: { capacity: mailboxCapacity, overflow: "reject" },
      initial: (moment) => {
        const empty = makeMembershipState(self)
        return records.isEmpty ? [empty, []] : step(empty, records.all(), moment)
      },
      recover: recoverMembership,
      step,
      ticks: [
        {
          every: options.tick,
          message: (dueAt) => ({ _tag: "Tick", dueAt }),
          seldom: {
            dueAt: (state) => Math.min(nextDue(state), watchedFrom(state, options)),
            atLeast: quietTick * options.tick,
            early: options.early
          }
        }
      ],
      ticker: setup.ticker,
      publish,
      interpret: (action, context) => {
        // A probe without its result would never be started again.
        const report = (message: MembershipMessage) => tellSurely(context.self, message)
        switch (action._tag) {
          case "Ping":
            port.ping(
              action.peer,
              action.accused,
              action.timeout,
              (answer) => {
                const result = pingResult(action, answer, admit)
                if (!context.self.tell(result)) runFork(report(result))
              },
              (answer) => void context.self.tell(pingResult(action, answer, admit))
            )
            return undefined
          case "AskHelpers":
            return context.fork(Effect.flatMap(performAskHelpers(port, action), report))
          case "Say":
            return context.fork(gossip.publish("membership", action.bytes))
          case "PullEvidence":
            return context.fork(
              port.evidence(action.from, action.about).pipe(
                Effect.flatMap((envelopes) => hearAll(envelopes, context.self.tell)),
                Effect.catchAll(() => report({ _tag: "NoEvidence", about: action.about }))
              )
            )
          case "Reply":
            action.reply()
            return undefined
          case "GiveUp":
            onGivenUp(action.peer)
            return undefined
        }
      }
    })

    /** Synchronous, as gossip needs it: judged against the snapshot, applied a moment later. */
    yield* gossip.subscribe("membership", (bytes): GossipVerdict => {
      const statement = admit(bytes)
      if (Either.isLeft(statement)) {
        return statement.left.code === "forged" ? "reject" : "ignore"
      }
      const said = statement.right
      const at = moment()
      if (said.kind === "suspect" && said.subject === self) onAccused(said.by)
      const unknown = isUnknown(state, said, at.now)
      if (!unknown && !isNews(state, said, bytes, options, at)) return "ignore"
      const signer = said.kind === "suspect" ? said.by : said.subject
      if (!conduct.allows(signer, "said")) return "ignore"
      const told = actor.tell({ _tag: "Heard", statement: said, bytes })
      return told && !unknown ? "accept" : "ignore"
    })

    // What comes while the mailbox is full goes with the next message.
    const deliverRecords: Effect.Effect<void> = Effect.suspend(() => {
      const news = records.take(state.beyondLimit > 0)
      if (news !== undefined) return Effect.zipRight(tellSurely(actor, news), deliverRecords)
      delivering = false
      return Effect.void
    })
    const deliver = () => {
      if (delivering) return
      delivering = true
      runFork(deliverRecords)
    }
    yield* Effect.sync(() => {
      records.repeat()
      deliver()
    }).pipe(Effect.delay(repeatRecords), Effect.forever, Effect.forkScoped)

    const permits = yield* Effect.makeSemaphore(maxProbesForOthers)

    return {
      members: () => memberViews(state, { name: setup.name, since: startedAt }),
      stateOf: (peer) => (peer === self ? "alive" : memberOf(state, peer)?.state),
      subjects: () => state.ring.subjectsOf(self),
      awareness: () => state.awareness,
      subscribe: (listener) => {
        listeners.add(listener)
        return () => {
          listeners.delete(listener)
        }
      },
      changeRecords: (changed, gone) => {
        if (records.change(changed, gone)) deliver()
      },
      linkUp: (peer) => void actor.tell({ _tag: "LinkUp", peer }),
      linkDown: (peer) => void actor.tell({ _tag: "LinkDown", peer }),
      answerPing: (from, accused, reply) => {
        const { incarnation, denial } = state
        // The usual case: answered without a detour through the mailbox.
        if (accused === undefined) {
          actor.tell({ _tag: "Pinged", peer: from })
          return reply({ incarnation, alive: undefined })
        }
        onAccused(from)
        // Answered before.
        if (accused < incarnation && denial !== undefined) {
          return reply({ incarnation, alive: denial })
        }
        actor.tell({ _tag: "Accused", by: from, incarnation: accused, reply })
      },
      handlers: {
        Probe: ({ peer }) => {
          if (peer === self) return Effect.succeed({ reachable: true })
          if (memberOf(state, peer) === undefined) {
            const message = `${peer} is no member known here`
            return Effect.fail(new MeshRpcError({ code: "refused", message }))
          }
          const timeout = scaled(state.awareness, options.helperTimeout)
          return Effect.async<{ readonly reachable: boolean }>((resume) =>
            port.ping(peer, undefined, timeout, (answer) =>
              resume(Effect.succeed({ reachable: answer !== undefined }))
            )
          ).pipe(
            permits.withPermitsIfAvailable(1),
            Effect.flatten,
            Effect.catchTag("NoSuchElementException", () =>
              Effect.fail(unavailable("too many probes for others are under way"))
            )
          )
        },
        MembershipEvidence: ({ about = [] }) =>
          Effect.gen(function* () {
            const all = evidenceOf(state, about)
            // Of those that are named it is all there is; denials, without which accusations say nothing, first.
            if (about.length > 0 || all.length < 2) return evidenceAnswer(all, 0)
            return evidenceAnswer(all, yield* Random.nextIntBetween(0, all.length))
          })
      }
    }
  })
