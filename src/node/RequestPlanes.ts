/**
 * The request planes of a node and the mesh plane, joined: what the one learns the others are told,
 * as changes, and what they ask for or find out is dealt with. Neither waits for the other.
 */
import { Cause, Effect, Runtime, type Scope } from "effect"
import type { EntryChange } from "../mesh/catalogue/CatalogueChange.ts"
import type { NodeEntry } from "../mesh/catalogue/RecordEntry.ts"
import type { RecordAudit } from "../model/AuditEvent.ts"
import type { OnDefect } from "../model/Defect.ts"
import type { Dispatch } from "../model/Exchange.ts"
import { wholeView } from "../model/MeshView.ts"
import type { MeshId, PeerKey } from "../model/Names.ts"
import type { NodeRecord } from "../model/NodeRecord.ts"
import type { Ticker } from "../model/Time.ts"
import { makeHostMemory } from "../request/HostMemory.ts"
import type { PlaneFact, PlaneSetup } from "../request/PlaneMessages.ts"
import type { ThreadReports } from "../telemetry/ThreadReports.ts"
import { deniedEvent, otherUserEvent } from "./AuditEvents.ts"
import type { MeshPlane } from "./MeshPlane.ts"
import { makePlaneLog } from "./PlaneLog.ts"
import { spawnWorker } from "./PlaneThread.ts"
import { RequestThreads, type ThreadMessage } from "./RequestThreads.ts"
import type { ProgramSide } from "./RunningNode.ts"
import { loadOf } from "./ThreadRows.ts"

export interface RequestPlanesOptions {
  /** Threads of their own; 0: requests share this one. */
  readonly workers: number
  /** Threads that are kept over the lives of the mesh plane, as many as `workers`. */
  readonly kept: ReadonlyArray<ProgramSide> | undefined
  /** The plane of a program, in its thread; there are calls made there. */
  readonly program: ProgramSide | undefined
  readonly setup: Omit<PlaneSetup, "index" | "threads" | "sharePorts" | "memory">
  readonly ticker: Ticker
  readonly reports: ThreadReports
  readonly audit: RecordAudit
  readonly mesh: MeshId
  /** Of the mesh thread. */
  readonly onDefect: OnDefect
}

export interface RequestPlanes {
  readonly threads: RequestThreads
  /** Calls that are made in this thread; undefined: it has no plane. */
  readonly dispatch: Dispatch | undefined
  /** Exchanges of other nodes that run here. */
  readonly inFlight: Effect.Effect<number>
  /** Done when all go by what they were told up to now, or have not answered in time. */
  readonly applied: Effect.Effect<void>
  /** Who hears of attached programs. */
  readonly followPrograms: (programs: ProgramNews) => void
  /** Tells the planes what the mesh plane knows, from now on. */
  readonly follow: (plane: MeshPlane) => Effect.Effect<void, never, Scope.Scope>
}

export interface ProgramNews {
  /** True: what is offered is another now. */
  readonly reach: (program: string, thread: number, reached: boolean) => boolean
  /** A thread has crashed. */
  readonly lose: (thread: number) => void
  /** Tells the mesh. */
  readonly offer: Effect.Effect<void>
}

const loadPatience = 250

export const makePlanes = (
  options: RequestPlanesOptions
): Effect.Effect<RequestPlanes, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { kept, program, reports, setup, ticker, workers } = options
    const runtime = yield* Effect.runtime<never>()
    const scope = yield* Effect.scope
    const runFork = (effect: Effect.Effect<void>): void => {
      Runtime.runFork(runtime)(effect, { scope })
    }
    const log = yield* makePlaneLog
    let plane: MeshPlane | undefined
    let programs: ProgramNews | undefined

    /** Peers for which a session is being had: threads ask all at once. */
    const needed = new Set<PeerKey>()
    const need = (peer: PeerKey): void => {
      if (needed.has(peer)) return
      needed.add(peer)
      const had =
        plane === undefined
          ? Effect.fail(new Error("the node is starting"))
          : plane.sessionRenewal.need(peer)
      runFork(
        had.pipe(
          Effect.catchAll(({ message }) =>
            Effect.sync(() => threads.post({ type: "session.none", peer, reason: message }))
          ),
          Effect.ensuring(Effect.sync(() => needed.delete(peer)))
        )
      )
    }

    const onFact = (fact: PlaneFact, index: number): void => {
      threads.postOthers({ type: "fact", fact }, index)
      // Whether it is there at all is for its observers to find out, now.
      if (fact.kind === "silent") plane?.membership.linkDown(fact.peer)
    }

    const onMessage = (message: ThreadMessage, index: number): void => {
      switch (message.type) {
        case "log":
          log(message.level, message.message, message.fields)
          return
        case "fact":
          onFact(message.fact, index)
          return
        case "session.need":
          need(message.peer)
          return
        case "program.reach":
          if (programs?.reach(message.program, index, message.reached) === true) {
            runFork(programs.offer)
          }
          return
        case "denied":
          for (const denial of message.denials) options.audit(deniedEvent(denial, options.mesh))
          return
        case "other_user":
          options.audit(otherUserEvent(message.refused, message.as))
          return
        case "sessions.used":
          if (plane !== undefined) runFork(plane.sessionRenewal.used(message.peers))
      }
    }

    const here =
      program === undefined && workers === 0
        ? [(yield* Effect.promise(() => import("./PlaneHere.ts"))).spawnHere(ticker)]
        : []
    const threads = yield* Effect.acquireRelease(
      Effect.sync(
        () =>
          new RequestThreads({
            spawns: [
              ...(program === undefined ? here : [program.spawn]),
              ...(kept?.map(({ spawn }) => spawn) ??
                Array.from({ length: workers }, () => spawnWorker))
            ],
            setup: {
              ...setup,
              memory: program?.memory ?? kept?.[0]?.memory ?? makeHostMemory()
            },
            sharePorts: workers > 0,
            holds: (spec) =>
              program?.holds(spec) === true || kept?.some(({ holds }) => holds(spec)) === true,
            ticker,
            reports,
            onDefect: options.onDefect,
            onMessage,
            onCrash: (index, error, pause) => {
              programs?.lose(index)
              runFork(
                Effect.logError(
                  `request thread ${index} has crashed, and its connections with it; it is started again in ${pause} ms`,
                  Cause.die(error)
                )
              )
            }
          })
      ),
      (it) => Effect.promise(() => it.stop())
    )

    return {
      threads,
      dispatch: threads.here?.dispatch,
      inFlight: Effect.map(
        Effect.promise(() => threads.ask({ kind: "load" }, loadPatience)),
        (answers) => loadOf(answers).inbound
      ),
      applied: Effect.asVoid(Effect.promise(() => threads.ask({ kind: "load" }, loadPatience))),
      followPrograms: (news) => {
        programs = news
      },
      follow: (joined) =>
        Effect.acquireRelease(
          Effect.sync(() => {
            plane = joined
            const news = new PeerNews(threads, joined)
            threads.followView(() => wholeView(joined.view.current))
            news.follow(
              Array.from(joined.catalogue.current().entries(), (after) => ({
                before: undefined,
                after
              }))
            )
            return [
              joined.view.subscribe((_, change) => threads.post({ type: "view", change })),
              joined.catalogue.subscribe((_, changes) => news.follow(changes))
            ]
          }),
          (stops) =>
            Effect.sync(() => {
              for (const stop of stops) stop()
            })
        ).pipe(Effect.asVoid)
    }
  })

/** Tells threads of peers: their names and addresses, and why services of theirs are missing. */
class PeerNews {
  readonly #threads: RequestThreads
  readonly #plane: MeshPlane

  constructor(threads: RequestThreads, plane: MeshPlane) {
    this.#threads = threads
    this.#plane = plane
  }

  follow(changes: Iterable<EntryChange>): void {
    for (const { before, after } of changes) {
      this.#tellPeer(before, after)
      this.#tellMissing(before, after)
    }
  }

  #tellPeer(before: NodeEntry | undefined, after: NodeEntry | undefined): void {
    const { addressesOf, sessions } = this.#plane
    const record = after?.record
    if (record !== undefined && record.state !== "left") {
      const { name, peer } = record
      const same = before !== undefined && isSame(before.record, record)
      if (same) return
      this.#threads.post({ type: "peer", facts: { peer, name, addresses: addressesOf(peer) } })
      return
    }
    const peer = (after ?? before)?.record.peer
    if (peer === undefined) return
    this.#threads.post({ type: "peer.gone", peer })
    sessions.end(peer, "it has left the mesh")
  }

  #tellMissing(before: NodeEntry | undefined, after: NodeEntry | undefined): void {
    for (const service of new Set([...(before?.withheld ?? []), ...(after?.withheld ?? [])])) {
      const reason = this.#plane.troubles.whyMissing(service)
      this.#threads.post({ type: "missing", service, reason })
    }
  }
}

const isSame = (a: NodeRecord, b: NodeRecord): boolean =>
  a.name === b.name &&
  a.state === b.state &&
  a.addresses.length === b.addresses.length &&
  a.addresses.every((address, index) => address === b.addresses[index])
