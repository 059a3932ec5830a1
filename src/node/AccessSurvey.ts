/**
 * Asks the nodes that offer what access rules are about how those were met there, because somebody looks:
 * a node counts what it decides, and knows of no other. So many at a time, so many connections made for it
 * a second, and an end.
 */
import { Effect } from "effect"
import type { MeshRpcError, PeerAccessUse } from "../mesh/host/MeshRpc.ts"
import type { MeshRpcClients } from "../mesh/host/MeshRpcClients.ts"
import type { PeerKey, ServiceName } from "../model/Names.ts"
import { makeDialTurn } from "./DialTurn.ts"

export interface AccessUseQuestion {
  /** What was called of services in audit, too. */
  readonly traffic: boolean
  readonly service?: ServiceName
}

export interface AccessSurveyOptions {
  /** Puts the question to one node; makes a connection where there is none. */
  readonly ask: (
    peer: PeerKey,
    question: AccessUseQuestion
  ) => Effect.Effect<PeerAccessUse, MeshRpcError>
  readonly isConnected: (peer: PeerKey) => boolean
}

export type SurveyedUse =
  | { readonly kind: "use"; readonly use: PeerAccessUse }
  /** For people: why there is no answer. */
  | { readonly kind: "silent"; readonly reason: string }

/** One answer for each that is asked. */
export type AccessSurvey = (
  peers: ReadonlyArray<PeerKey>,
  question: AccessUseQuestion
) => Effect.Effect<ReadonlyMap<PeerKey, SurveyedUse>>

/** Milliseconds. */
export const accessSurveyTimes = {
  /** For an answer, and a connection where there is none. */
  answer: 2_000,
  whole: 5_000
} as const

/** Nodes asked at a time, over all who look. */
export const accessSurveyAtOnce = 16

/** The question over the mesh's RPC. */
export const askUseByRpc =
  (clients: MeshRpcClients): AccessSurveyOptions["ask"] =>
  (peer, question) =>
    Effect.flatMap(clients.client(peer), (client) => client.AccessUse(question))

const silent = (reason: string): SurveyedUse => ({ kind: "silent", reason })

/** Before it stands which question it was, and there is one here. */
const reasonOf = ({ code, message }: MeshRpcError): string =>
  code === "invalid"
    ? "it is of a release that does not answer this"
    : message.replace(/^AccessUse: /, "")

export const makeAccessSurvey = ({ ask, isConnected }: AccessSurveyOptions): AccessSurvey => {
  const permits = Effect.unsafeMakeSemaphore(accessSurveyAtOnce)
  const dialTurn = makeDialTurn()

  const askOne = (peer: PeerKey, question: AccessUseQuestion): Effect.Effect<SurveyedUse> =>
    ask(peer, question).pipe(
      Effect.match({
        onSuccess: (use): SurveyedUse => ({ kind: "use", use }),
        onFailure: (error) => silent(reasonOf(error))
      }),
      Effect.timeoutTo({
        duration: accessSurveyTimes.answer,
        onSuccess: (answer) => answer,
        onTimeout: () => silent(`no answer within ${accessSurveyTimes.answer / 1_000} s`)
      }),
      permits.withPermits(1)
    )

  return (peers, question) =>
    Effect.suspend(() => {
      const answers = new Map<PeerKey, SurveyedUse>(
        peers.map((peer) => [peer, silent("the time for asking was over")])
      )
      const order = [...peers.filter(isConnected), ...peers.filter((peer) => !isConnected(peer))]
      const askInTurn = (peer: PeerKey) =>
        Effect.zipRight(isConnected(peer) ? Effect.void : dialTurn, askOne(peer, question)).pipe(
          Effect.andThen((answer) => Effect.sync(() => answers.set(peer, answer)))
        )
      return Effect.forEach(order, askInTurn, {
        concurrency: accessSurveyAtOnce,
        discard: true
      }).pipe(Effect.timeoutOption(accessSurveyTimes.whole), Effect.as(answers))
    })
}
