/**
 * What membership asks other nodes, and how an answer, or its absence, becomes a message to the
 * actor. Nothing here fails: that a node does not answer is the news.
 */
import { Effect, Either } from "effect"
import type { PeerKey } from "../../model/Names.ts"
import { MeshRpcError } from "../host/MeshRpc.ts"
import type { MeshRpcClients } from "../host/MeshRpcClients.ts"
import type { MembershipAction, MembershipMessage, PingAnswer } from "./MembershipMessages.ts"
import type { Pings } from "./Pings.ts"
import type { Statement, StatementRefused } from "./Statement.ts"

/** Questions to one other node. */
export interface MembershipPort {
  /**
   * Calls back once: with the answer, or with undefined when there is none within `timeout` ms. `late`: with one
   * that comes after that.
   */
  readonly ping: (
    peer: PeerKey,
    accused: number | undefined,
    timeout: number,
    done: (answer: PingAnswer | undefined) => void,
    late?: (answer: PingAnswer) => void
  ) => void
  /** Asks `helper` whether it reaches `peer`. */
  readonly probe: (helper: PeerKey, peer: PeerKey) => Effect.Effect<boolean, MeshRpcError>
  /** What `peer` has heard `about` these; of all where none is named. */
  readonly evidence: (
    peer: PeerKey,
    about: ReadonlyArray<PeerKey>
  ) => Effect.Effect<ReadonlyArray<Uint8Array>, MeshRpcError>
}

/** Pings on their own streams, everything else by the mesh's RPC. */
export const makeMembershipPort = (
  pings: Pick<Pings, "ping">,
  clients: MeshRpcClients
): MembershipPort => ({
  ping: (...asked) => pings.ping(...asked),
  probe: (helper, peer) =>
    clients.client(helper).pipe(
      Effect.flatMap((client) => client.Probe({ peer })),
      Effect.map(({ reachable }) => reachable)
    ),
  evidence: (peer, about) =>
    Effect.flatMap(clients.client(peer), (client) => client.MembershipEvidence({ about }))
})

export const unavailable = (message: string): MeshRpcError =>
  new MeshRpcError({ code: "unavailable", message })

/** The answer to a ping, as the actor takes it. Why there is none does not matter here. */
export const pingResult = (
  action: Extract<MembershipAction, { readonly _tag: "Ping" }>,
  answer: PingAnswer | undefined,
  admit: (bytes: Uint8Array) => Either.Either<Statement, StatementRefused>
): MembershipMessage => {
  const { peer, probe } = action
  if (answer === undefined) return { _tag: "Unanswered", peer, probe }
  const { alive, incarnation } = answer
  const statement = alive === undefined ? undefined : Either.getOrUndefined(admit(alive))
  const denial =
    alive === undefined || statement?.kind !== "alive" ? undefined : { statement, bytes: alive }
  return { _tag: "Answered", peer, probe, incarnation, denial }
}

export const performAskHelpers = (
  port: MembershipPort,
  action: Extract<MembershipAction, { readonly _tag: "AskHelpers" }>
): Effect.Effect<MembershipMessage> => {
  const { peer, probe, helpers, timeout } = action
  const asks = helpers.map((helper) =>
    port.probe(helper, peer).pipe(
      Effect.timeoutTo({
        duration: timeout,
        onSuccess: (reached): boolean | undefined => reached,
        onTimeout: () => undefined
      }),
      Effect.orElseSucceed(() => undefined)
    )
  )
  return Effect.map(Effect.all(asks, { concurrency: "unbounded" }), (answers) => ({
    _tag: "Helped",
    peer,
    probe,
    reachedBy: helpers.filter((_, at) => answers[at] === true),
    missedBy: helpers.filter((_, at) => answers[at] === false)
  }))
}
