/**
 * Asks other nodes, because somebody looks, whether they hold the same as this one and how they fare.
 * However large the mesh and however often it is asked for, it costs a bounded amount: so many questions
 * at a time, so many connections made for it a second, and an end.
 */
import { Effect, Fiber } from "effect"
import type { Catalogue } from "../mesh/catalogue/Catalogue.ts"
import { type CatalogueLook, standingDifferences } from "../mesh/catalogue/CatalogueLook.ts"
import type { MeshRpcError, PeerFigures } from "../mesh/host/MeshRpc.ts"
import type { MeshRpcClients } from "../mesh/host/MeshRpcClients.ts"
import type { PeerKey } from "../model/Names.ts"
import { makeDialTurn, monotonic } from "./DialTurn.ts"
import type { PeerAnswer, PeerOutcome } from "./PeerVerdict.ts"

/** The questions, put to one node. */
export interface PeerPort {
  readonly digest: (
    root: Uint8Array
  ) => Effect.Effect<
    { readonly same: boolean; readonly buckets: ReadonlyArray<Uint8Array> },
    MeshRpcError
  >
  readonly figures: Effect.Effect<PeerFigures, MeshRpcError>
}

export interface PeerSurveyOptions {
  /** Makes a connection where there is none. */
  readonly connect: (peer: PeerKey) => Effect.Effect<PeerPort, MeshRpcError>
  readonly isConnected: (peer: PeerKey) => boolean
  /** It has asked this node to wait before it connects. */
  readonly isBusy: (peer: PeerKey) => boolean
  readonly catalogue: () => Pick<Catalogue, "root" | "bucketHashes">
  /** Hears of each answer, whether both held the same. */
  readonly onLooked: (peer: PeerKey, same: boolean) => void
}

/** Asks those that are connected first. Who is not in the answer was not asked: the time was over. */
export type PeerSurvey = (
  peers: ReadonlyArray<PeerKey>
) => Effect.Effect<ReadonlyMap<PeerKey, PeerAnswer>>

/** Milliseconds. */
export const surveyTimes = {
  /** For an answer over a connection that there is… */
  answer: 1_000,
  /** …and where it has to be made. */
  dial: 2_000,
  /** What differs is looked at again after so long: gossip needs less. */
  again: 1_000,
  whole: 3_000
} as const

export const surveyLimits = {
  /** Nodes asked at a time, over all who look. */
  atOnce: 16
} as const

/** The questions over the mesh's RPC. */
export const peerPortByRpc =
  (clients: MeshRpcClients): PeerSurveyOptions["connect"] =>
  (peer) =>
    Effect.map(clients.client(peer), (client) => ({
      digest: (root) => client.CatalogueDigest({ root }),
      figures: client.PeerStatus({})
    }))

interface Looked {
  readonly answer: PeerAnswer
  /** Undefined: they were equal, or there is nothing to look at. */
  readonly difference: CatalogueLook | undefined
}

const busy: Looked = {
  answer: { outcome: { kind: "busy" }, answerMs: undefined, figures: undefined },
  difference: undefined
}

const failed = ({ code, message }: MeshRpcError): Looked => ({
  answer: {
    outcome: { kind: code === "invalid" ? "puzzled" : "silent", reason: message },
    answerMs: undefined,
    figures: undefined
  },
  difference: undefined
})

export const makePeerSurvey = (options: PeerSurveyOptions): Effect.Effect<PeerSurvey> =>
  Effect.gen(function* () {
    const { catalogue, connect, isBusy, isConnected, onLooked } = options
    const permits = yield* Effect.makeSemaphore(surveyLimits.atOnce)
    const dialTurn = makeDialTurn()

    const compare = (peer: PeerKey, port: PeerPort) =>
      Effect.gen(function* () {
        const held = catalogue()
        const askedAt = yield* monotonic
        const { buckets, same } = yield* port.digest(held.root())
        const answerMs = (yield* monotonic) - askedAt
        onLooked(peer, same)
        const difference = same ? undefined : { mine: held.bucketHashes(), theirs: buckets }
        return { answerMs, difference }
      })

    const figuresOf = (port: PeerPort): Effect.Effect<PeerAnswer["figures"]> =>
      port.figures.pipe(
        Effect.catchAll(({ code }) =>
          Effect.succeed(code === "invalid" ? ("older" as const) : undefined)
        )
      )

    /** One question each, in time, by the permits. */
    const inTime = (patience: number, look: Effect.Effect<Looked, MeshRpcError>) =>
      look.pipe(
        Effect.catchAll((error) => Effect.succeed(failed(error))),
        Effect.timeoutTo({
          duration: patience,
          onSuccess: (looked): Looked => looked,
          onTimeout: (): Looked => ({
            answer: {
              outcome: { kind: "silent", reason: `no answer within ${patience / 1_000} s` },
              answerMs: undefined,
              figures: undefined
            },
            difference: undefined
          })
        }),
        permits.withPermits(1)
      )

    const firstLook = (peer: PeerKey): Effect.Effect<Looked> =>
      Effect.suspend(() => {
        const up = isConnected(peer)
        const look = Effect.gen(function* () {
          const port = yield* connect(peer)
          const [{ answerMs, difference }, figures] = yield* Effect.all(
            [compare(peer, port), figuresOf(port)],
            { concurrency: "unbounded" }
          )
          const outcome: PeerOutcome =
            difference === undefined ? { kind: "equal" } : { kind: "differs", standing: undefined }
          return { answer: { outcome, answerMs, figures }, difference }
        })
        if (up) return inTime(surveyTimes.answer, look)
        if (isBusy(peer)) return Effect.succeed(busy)
        return Effect.zipRight(dialTurn, inTime(surveyTimes.dial, look)).pipe(
          Effect.map((looked) =>
            looked.answer.outcome.kind === "silent" && isBusy(peer) ? busy : looked
          )
        )
      })

    /** One that answers no more has answered once: what was said then stays. */
    const secondLook = (peer: PeerKey, { answer, difference: first }: Looked) =>
      Effect.gen(function* () {
        const look = Effect.gen(function* () {
          const { difference } = yield* compare(peer, yield* connect(peer))
          const outcome: PeerOutcome =
            difference === undefined || first === undefined
              ? { kind: "equal" }
              : { kind: "differs", standing: standingDifferences(first, difference) }
          return { answer: { ...answer, outcome }, difference }
        })
        const { answer: second } = yield* Effect.delay(
          inTime(surveyTimes.answer, look),
          surveyTimes.again
        )
        return second.outcome.kind === "silent" ? answer : second
      })

    return (peers) =>
      Effect.suspend(() => {
        const answers = new Map<PeerKey, PeerAnswer>()
        const order = [
          ...peers.filter((peer) => isConnected(peer)),
          ...peers.filter((peer) => !isConnected(peer))
        ]
        return Effect.gen(function* () {
          const seconds: Array<Fiber.RuntimeFiber<void>> = []
          const ask = (peer: PeerKey) =>
            Effect.gen(function* () {
              const looked = yield* firstLook(peer)
              answers.set(peer, looked.answer)
              if (looked.difference === undefined) return
              const second = Effect.map(secondLook(peer, looked), (answer) => {
                answers.set(peer, answer)
              })
              seconds.push(yield* Effect.forkScoped(second))
            })
          yield* Effect.forEach(order, ask, { concurrency: surveyLimits.atOnce, discard: true })
          yield* Fiber.joinAll(seconds)
        }).pipe(Effect.scoped, Effect.timeoutOption(surveyTimes.whole), Effect.as(answers))
      })
  })
