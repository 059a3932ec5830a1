/**
 * Answers the questions of other nodes: an `RpcServer.Protocol` over streams of the mesh. Who
 * asks is written into each request's headers by this end, as the handshake has proved it.
 */
import type * as Headers from "@effect/platform/Headers"
import type * as Rpc from "@effect/rpc/Rpc"
import type * as RpcGroup from "@effect/rpc/RpcGroup"
import type { FromClientEncoded, FromServerEncoded } from "@effect/rpc/RpcMessage"
import * as RpcServer from "@effect/rpc/RpcServer"
import { Effect, Layer, Mailbox, Option, Runtime, Schema, type Scope } from "effect"
import { isPeerKey, type PeerKey } from "../../model/Names.ts"
import { type Conduct, noConduct } from "../trust/PeerConduct.ts"
import { MeshRpc, type MeshRpcError } from "./MeshRpc.ts"
import { ProtocolError, RpcFrames, rpcMessageLimit } from "./RpcFrames.ts"
import type { RpcTransport } from "./RpcTransport.ts"

export type MeshRpcs = RpcGroup.Rpcs<typeof MeshRpc>

/** What one peer may have running here at a time; the next is refused. */
const inFlightPerPeer = 64

const peerHeader = "skein-peer"

/** The node that asks. For handlers, whose second argument holds the headers. */
export const callingPeer = (request: { readonly headers: Headers.Headers }): PeerKey => {
  const peer = request.headers[peerHeader]
  // Written by the protocol below for every request.
  if (peer === undefined || !isPeerKey(peer)) throw new Error("a mesh request without its peer")
  return peer
}

/** The messages a peer may send, with what a later version adds to them left out. */
const FromPeer = Schema.Union(
  Schema.Struct({
    _tag: Schema.Literal("Request"),
    id: Schema.String.pipe(Schema.pattern(/^\d{1,20}$/)),
    tag: Schema.String.pipe(Schema.maxLength(64)),
    payload: Schema.Unknown,
    headers: Schema.Array(Schema.Tuple(Schema.String, Schema.String)).pipe(Schema.maxItems(64)),
    traceId: Schema.optional(Schema.String.pipe(Schema.maxLength(64))),
    spanId: Schema.optional(Schema.String.pipe(Schema.maxLength(64))),
    sampled: Schema.optional(Schema.Boolean)
  }),
  Schema.Struct({
    _tag: Schema.Literal("Interrupt"),
    requestId: Schema.String.pipe(Schema.pattern(/^\d{1,20}$/))
  })
)
const decodeFromPeer = Schema.decodeUnknownOption(FromPeer)

const messageTags: ReadonlyArray<string> = FromPeer.members.map(
  ({ fields }) => fields._tag.literals[0]
)

/** A message of a kind that a later version added. It is passed over: nobody waits for an answer. */
const isLater = Schema.is(
  Schema.Struct({ _tag: Schema.String.pipe(Schema.filter((tag) => !messageTags.includes(tag))) })
)

/** An answer made by the protocol itself, in the group's own error type. */
const failure = (
  requestId: string,
  code: MeshRpcError["code"],
  message: string
): FromServerEncoded => ({
  _tag: "Exit",
  requestId,
  exit: {
    _tag: "Failure",
    cause: { _tag: "Fail", error: { _tag: "MeshRpcError", code, message } }
  }
})

class Asker {
  readonly peer: PeerKey
  readonly frames: RpcFrames
  readonly running = new Set<string>()

  constructor(peer: PeerKey, frames: RpcFrames) {
    this.peer = peer
    this.frames = frames
  }

  send(response: FromServerEncoded): void {
    if (response._tag === "Exit") this.running.delete(response.requestId)
    if (this.frames.send(response) || response._tag !== "Exit") return
    const message = `the answer is longer than ${rpcMessageLimit} bytes; ask for less at a time`
    this.frames.send(failure(response.requestId, "invalid", message))
  }
}

const makeProtocol = (
  transport: RpcTransport,
  conduct: Conduct
): Effect.Effect<RpcServer.Protocol["Type"], never, Scope.Scope> =>
  RpcServer.Protocol.make((writeRequest) =>
    Effect.gen(function* () {
      const runFork = Runtime.runFork(yield* Effect.runtime<never>())
      const disconnects = yield* Mailbox.make<number>()
      const askers = new Map<number, Asker>()
      let next = 0

      const onMessage = (id: number, asker: Asker, raw: unknown): void => {
        const message = Option.getOrUndefined(decodeFromPeer(raw))
        if (message === undefined) {
          if (isLater(raw)) return
          throw new ProtocolError("not a message of the mesh's RPC")
        }
        if (message._tag === "Interrupt") {
          runFork(writeRequest(id, message))
          return
        }
        if (asker.running.has(message.id)) throw new ProtocolError("request id used twice")
        if (!MeshRpc.requests.has(message.tag)) {
          asker.send(failure(message.id, "invalid", `this node knows no question ${message.tag}`))
        } else if (!conduct.allows(asker.peer, "asked")) {
          const most = "this node has answered more questions of yours than anybody needs to ask"
          asker.send(failure(message.id, "unavailable", most))
        } else if (asker.running.size >= inFlightPerPeer) {
          const most = `${inFlightPerPeer} questions of one node are answered at a time`
          asker.send(failure(message.id, "unavailable", most))
        } else {
          asker.running.add(message.id)
          const said = message.headers.filter(([name]) => name.toLowerCase() !== peerHeader)
          const headers: Array<[string, string]> = said.map(([name, value]) => [name, value])
          headers.push([peerHeader, asker.peer])
          const request: FromClientEncoded = { ...message, headers }
          runFork(writeRequest(id, request))
        }
      }

      yield* Effect.acquireRelease(
        Effect.promise(() =>
          transport.handle("/skein/rpc/1", (peer, channel) => {
            const id = next++
            const frames = new RpcFrames(channel, {
              onMessage: (message) => onMessage(id, asker, message),
              onClose: (cause) => {
                if (cause instanceof ProtocolError) conduct.note(peer, "garbage")
                askers.delete(id)
                disconnects.unsafeOffer(id)
              }
            })
            const asker = new Asker(peer, frames)
            askers.set(id, asker)
          })
        ),
        (unhandle) =>
          Effect.promise(async () => {
            await unhandle()
            for (const asker of askers.values()) asker.frames.close()
          })
      )

      return {
        disconnects,
        send: (id, response) =>
          Effect.async<void>((resume) => {
            const asker = askers.get(id)
            if (asker === undefined) {
              resume(Effect.void)
              return
            }
            asker.frames.whenReady(() => {
              asker.send(response)
              resume(Effect.void)
            })
          }),
        end: () => Effect.void,
        clientIds: Effect.sync(() => new Set(askers.keys())),
        initialMessage: Effect.succeed(Option.none()),
        // Stop-and-wait per chunk; nothing here streams.
        supportsAck: false,
        supportsTransferables: false,
        supportsSpanPropagation: true
      }
    })
  )

/**
 * Answers with the handlers of `MeshRpc.toLayer({…})` until its scope closes. A handler learns who
 * asks with `callingPeer(options)`.
 */
export const serveMeshRpc = (
  transport: RpcTransport,
  conduct: Conduct = noConduct
): Layer.Layer<never, never, Rpc.ToHandler<MeshRpcs>> =>
  Layer.scopedDiscard(
    Effect.gen(function* () {
      const protocol = yield* makeProtocol(transport, conduct)
      yield* RpcServer.make(MeshRpc, {
        // One defect would otherwise end every call of that peer.
        disableFatalDefects: true,
        disableTracing: true
      }).pipe(
        Effect.provideService(RpcServer.Protocol, protocol),
        Effect.interruptible,
        Effect.forkScoped
      )
    })
  )
