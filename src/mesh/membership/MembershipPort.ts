/**
 * What membership asks other nodes, and how an answer, or its absence, becomes a message to the
 * actor. Nothing here fails: that a node does not answer is the news.
 */
import { Effect, Either } from "effect"
import type { PeerKey } from "../../model/Names.ts"
import { MeshRpcError } from "../host/MeshRpc.ts"
import type { MeshRpcClients } from "../host/MeshRpcClients.ts"
import type { MembershipAction, MembershipMessage } from "./MembershipMessages.ts"
import type { PeerClocks } from "./PeerClocks.ts"
import type { Statement, StatementRefused } from "./Statement.ts"

/** Questions to one other node. */
export interface MembershipPort {
  readonly ping: (
    peer: PeerKey,
    accused: number | undefined
  ) => Effect.Effect<
    { readonly incarnation: number; readonly alive?: Uint8Array | undefined },
    MeshRpcError
  >
  /** Asks `helper` whether it reaches `peer`. */
  readonly probe: (helper: PeerKey, peer: PeerKey) => Effect.Effect<boolean, MeshRpcError>
  readonly evidence: (peer: PeerKey) => Effect.Effect<ReadonlyArray<Uint8Array>, MeshRpcError>
}

/** The port over the mesh's RPC. Clocks are measured on the way. */
export const membershipByRpc = (clients: MeshRpcClients, clocks: PeerClocks): MembershipPort => ({
  ping: (peer, accused) =>
    Effect.flatMap(clients.client(peer), (client) => {
      const askedAt = clocks.now()
      const clock = Math.floor(clocks.wall())
      return Effect.map(
        client.Ping({ clock, ...(accused === undefined ? {} : { accused }) }),
        (answer) => {
          if (answer.clock !== undefined) clocks.answered(peer, answer.clock, askedAt)
          return answer
        }
      )
    }),
  probe: (helper, peer) =>
    clients.client(helper).pipe(
      Effect.flatMap((client) => client.Probe({ peer })),
      Effect.map(({ reachable }) => reachable)
    ),
  evidence: (peer) =>
    Effect.flatMap(clients.client(peer), (client) => client.MembershipEvidence({}))
})

export const unavailable = (message: string): MeshRpcError =>
  new MeshRpcError({ code: "unavailable", message })

/** `timeout` in milliseconds. */
export const ping = (
  port: MembershipPort,
  peer: PeerKey,
  accused: number | undefined,
  timeout: number
) =>
  port.ping(peer, accused).pipe(
    Effect.timeoutFail({
      duration: timeout,
      onTimeout: () => unavailable(`${peer} did not answer within ${timeout} ms`)
    })
  )

export const performPing = (
  port: MembershipPort,
  action: Extract<MembershipAction, { readonly _tag: "Ping" }>,
  admit: (bytes: Uint8Array) => Either.Either<Statement, StatementRefused>
): Effect.Effect<MembershipMessage> => {
  const { peer, probe, timeout, accused } = action
  return ping(port, peer, accused, timeout).pipe(
    Effect.map(({ incarnation, alive }): MembershipMessage => {
      const statement = alive === undefined ? undefined : Either.getOrUndefined(admit(alive))
      const denial =
        alive === undefined || statement?.kind !== "alive" ? undefined : { statement, bytes: alive }
      return { _tag: "Answered", peer, probe, incarnation, denial }
    }),
    // Why does not matter here; the link pool reports it.
    Effect.catchAll(() => Effect.succeed<MembershipMessage>({ _tag: "Unanswered", peer, probe }))
  )
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
    reached: answers.includes(true),
    answered: answers.filter((answer) => answer !== undefined).length
  }))
}
