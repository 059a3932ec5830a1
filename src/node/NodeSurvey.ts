/**
 * Puts a question to other nodes, because somebody looks: what each of them counts no other knows. So many at a
 * time, so many connections made for it a second, and an end.
 */
import { Effect } from "effect"
import type { MeshRpcError, PeerAccessUse, PeerActors } from "../mesh/host/MeshRpc.ts"
import type { MeshRpcClients } from "../mesh/host/MeshRpcClients.ts"
import type { PeerKey, ServiceName } from "../model/Names.ts"
import type { ActorQuestion } from "../schema/ActorReportSchema.ts"
import { makeDialTurn } from "./DialTurn.ts"

export interface NodeSurveyOptions<Question, Answer> {
  /** Puts the question to one node; makes a connection where there is none. */
  readonly ask: (peer: PeerKey, question: Question) => Effect.Effect<Answer, MeshRpcError>
  readonly isConnected: (peer: PeerKey) => boolean
}

export type Surveyed<Answer> =
  | { readonly kind: "answer"; readonly answer: Answer }
  /** For people: why there is no answer. */
  | { readonly kind: "silent"; readonly reason: string }

/** One answer for each that is asked. */
export type NodeSurvey<Question, Answer> = (
  peers: ReadonlyArray<PeerKey>,
  question: Question
) => Effect.Effect<ReadonlyMap<PeerKey, Surveyed<Answer>>>

/** Milliseconds. */
export const surveyTimes = {
  /** For an answer, and a connection where there is none. */
  answer: 2_000,
  whole: 5_000
} as const

/** Nodes asked at a time, over all who look. */
export const surveyedAtOnce = 16

const silent = (reason: string) => ({ kind: "silent", reason }) as const

/** Before it stands which question it was, and there is one here. */
const reasonOf = ({ code, message }: MeshRpcError): string =>
  code === "invalid"
    ? "it is of a release that does not answer this"
    : message.replace(/^\w+: /, "")

export const makeNodeSurvey = <Question, Answer>({
  ask,
  isConnected
}: NodeSurveyOptions<Question, Answer>): NodeSurvey<Question, Answer> => {
  const permits = Effect.unsafeMakeSemaphore(surveyedAtOnce)
  const dialTurn = makeDialTurn()

  const askOne = (peer: PeerKey, question: Question): Effect.Effect<Surveyed<Answer>> =>
    ask(peer, question).pipe(
      Effect.match({
        onSuccess: (answer): Surveyed<Answer> => ({ kind: "answer", answer }),
        onFailure: (error) => silent(reasonOf(error))
      }),
      Effect.timeoutTo({
        duration: surveyTimes.answer,
        onSuccess: (answer) => answer,
        onTimeout: () => silent(`no answer within ${surveyTimes.answer / 1_000} s`)
      }),
      permits.withPermits(1)
    )

  return (peers, question) =>
    Effect.suspend(() => {
      const answers = new Map<PeerKey, Surveyed<Answer>>(
        peers.map((peer) => [peer, silent("the time for asking was over")])
      )
      const order = [...peers.filter(isConnected), ...peers.filter((peer) => !isConnected(peer))]
      const askInTurn = (peer: PeerKey) =>
        Effect.zipRight(isConnected(peer) ? Effect.void : dialTurn, askOne(peer, question)).pipe(
          Effect.andThen((answer) => Effect.sync(() => answers.set(peer, answer)))
        )
      return Effect.forEach(order, askInTurn, {
        concurrency: surveyedAtOnce,
        discard: true
      }).pipe(Effect.timeoutOption(surveyTimes.whole), Effect.as(answers))
    })
}

// ── What is asked ─────────────────────────────────────────────────────────────────────────────

/** How access rules were met. */
export interface AccessUseQuestion {
  /** What was called of services in audit, too. */
  readonly traffic: boolean
  readonly service?: ServiceName
}

export type AccessSurvey = NodeSurvey<AccessUseQuestion, PeerAccessUse>
export type ActorSurvey = NodeSurvey<ActorQuestion, PeerActors>

/** The questions over the mesh's RPC. */
export const askUseByRpc =
  (clients: MeshRpcClients): NodeSurveyOptions<AccessUseQuestion, PeerAccessUse>["ask"] =>
  (peer, question) =>
    Effect.flatMap(clients.client(peer), (client) => client.AccessUse(question))

export const askActorsByRpc =
  (clients: MeshRpcClients): NodeSurveyOptions<ActorQuestion, PeerActors>["ask"] =>
  (peer, question) =>
    Effect.flatMap(clients.client(peer), (client) => client.ActorStatus(question))
