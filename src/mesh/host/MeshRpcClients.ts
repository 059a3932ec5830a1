/**
 * Asks other nodes: one stream and one client per peer, made when first needed, gone with its
 * connection. Every call ends within its timeout, and whatever goes wrong on the way (no
 * connection, no answer, an answer that is not one, a defect over there) is a `MeshRpcError`.
 */
import * as RpcClient from "@effect/rpc/RpcClient"
import { RpcClientError } from "@effect/rpc/RpcClientError"
import type { FromServerEncoded } from "@effect/rpc/RpcMessage"
import { Deferred, Effect, Exit, Runtime, Schema, Scope } from "effect"
import type { ByteChannel } from "../../model/ByteChannel.ts"
import type { PeerKey } from "../../model/Names.ts"
import { reasonOf } from "./HostError.ts"
import { MeshRpc, MeshRpcError } from "./MeshRpc.ts"
import type { MeshRpcs } from "./MeshRpcServer.ts"
import { ProtocolError, RpcFrames, rpcMessageLimit } from "./RpcFrames.ts"
import type { RpcTransport } from "./RpcTransport.ts"

export type MeshRpcClient = RpcClient.RpcClient<MeshRpcs>

export interface MeshRpcClientsOptions {
  readonly transport: RpcTransport
  readonly addressesOf: (peer: PeerKey) => ReadonlyArray<string>
  /** For one call, from sending to answer, ms. Default 5,000. */
  readonly timeout?: number
  /** For getting a stream to the peer, ms. Default 5,000. */
  readonly connectTimeout?: number
}

export interface MeshRpcClients {
  /**
   * The client of a peer: the one there is, or a new one. Ask for it at every use: it ends with
   * its connection, and its calls then fail.
   */
  readonly client: (peer: PeerKey) => Effect.Effect<MeshRpcClient, MeshRpcError>
}

const unavailable = (message: string) => new MeshRpcError({ code: "unavailable", message })

/** The envelope of what a peer may send here. What is in it the client checks against the group. */
const FromServer = Schema.Union(
  Schema.Struct({
    _tag: Schema.Literal("Exit"),
    requestId: Schema.String.pipe(Schema.pattern(/^\d{1,20}$/)),
    exit: Schema.Unknown
  }),
  Schema.Struct({ _tag: Schema.Literal("Defect"), defect: Schema.Unknown })
)
const isFromServer = Schema.is(FromServer)

const answerTags: ReadonlyArray<string> = FromServer.members.map(
  ({ fields }) => fields._tag.literals[0]
)

/** A message of a kind that a later version added. It is passed over: it answers nothing. */
const isLater = Schema.is(
  Schema.Struct({ _tag: Schema.String.pipe(Schema.filter((tag) => !answerTags.includes(tag))) })
)

interface Wire {
  readonly protocol: RpcClient.Protocol["Type"]
  readonly closed: () => boolean
}

/** `onClose` runs after all calls in flight had their error. */
const makeWire = (
  peer: PeerKey,
  channel: ByteChannel,
  onClose: Effect.Effect<void>
): Effect.Effect<Wire, never, Scope.Scope> =>
  Effect.gen(function* () {
    const runFork = Runtime.runFork(yield* Effect.runtime<never>())
    let write: (response: FromServerEncoded) => Effect.Effect<void> = () => Effect.void
    const frames = new RpcFrames(channel, {
      onMessage: (message) => {
        if (!isFromServer(message)) {
          if (isLater(message)) return
          throw new ProtocolError("not an answer of the mesh's RPC")
        }
        // The client decodes `exit` by the question's schema; what does not fit fails that call.
        runFork(write(message as FromServerEncoded))
      },
      onClose: (cause) => {
        const why = cause === undefined ? "it closed the stream" : reasonOf(cause)
        const message = `the node ${peer} is gone: ${why}`
        const error = new RpcClientError({ reason: "Protocol", message })
        runFork(Effect.zipRight(write({ _tag: "ClientProtocolError", error }), onClose))
      }
    })
    yield* Effect.addFinalizer(() => Effect.sync(() => frames.close()))
    const protocol = yield* RpcClient.Protocol.make((writeResponse) => {
      write = writeResponse
      return Effect.succeed({
        send: (message) =>
          Effect.suspend(() => {
            const problem = frames.closed
              ? `the node ${peer} is gone`
              : frames.send(message)
                ? undefined
                : `the question is longer than ${rpcMessageLimit} bytes`
            return problem === undefined
              ? Effect.void
              : Effect.fail(new RpcClientError({ reason: "Protocol", message: problem }))
          }),
        // Stop-and-wait per chunk; nothing here streams.
        supportsAck: false,
        supportsTransferables: false
      })
    })
    return { protocol, closed: () => frames.closed }
  })

type RawClient = RpcClient.RpcClient<MeshRpcs, RpcClientError>
type RawCall = (...args: Array<never>) => Effect.Effect<unknown, MeshRpcError | RpcClientError>

/** The same client with every call bounded, and with one kind of error. */
const bounded = (peer: PeerKey, raw: RawClient, wire: Wire, timeout: number): MeshRpcClient => {
  const bound =
    (tag: string, call: RawCall) =>
    (...args: Array<never>): Effect.Effect<unknown, MeshRpcError> =>
      Effect.suspend(() => {
        if (wire.closed()) return Effect.fail(unavailable(`the node ${peer} is gone`))
        return call(...args)
      }).pipe(
        Effect.timeoutFail({
          duration: timeout,
          onTimeout: () => unavailable(`no answer from the node ${peer} within ${timeout} ms`)
        }),
        Effect.catchAllDefect((defect) => {
          const reason = `the question or its answer is not what it should be: ${reasonOf(defect)}`
          return Effect.fail(new MeshRpcError({ code: "invalid", message: reason }))
        }),
        Effect.mapError((error) => {
          const code = error._tag === "MeshRpcError" ? error.code : "unavailable"
          return new MeshRpcError({ code, message: `${tag}: ${error.message}` })
        })
      )
  const calls: Record<string, RawCall> = raw
  const entries = Object.entries(calls).map(([tag, call]) => [tag, bound(tag, call)])
  // The same names with the same parameters and results; only the errors have become fewer.
  return Object.fromEntries(entries) as MeshRpcClient
}

export const makeMeshRpcClients = (
  options: MeshRpcClientsOptions
): Effect.Effect<MeshRpcClients, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { transport, addressesOf, timeout = 5_000, connectTimeout = 5_000 } = options
    const scope = yield* Effect.scope
    type Entry = Deferred.Deferred<MeshRpcClient, MeshRpcError>
    const entries = new Map<PeerKey, Entry>()

    const connect = (peer: PeerKey, entry: Entry): Effect.Effect<MeshRpcClient, MeshRpcError> =>
      Effect.gen(function* () {
        const channel = yield* Effect.tryPromise({
          try: (signal) => {
            const limit = AbortSignal.any([signal, AbortSignal.timeout(connectTimeout)])
            return transport.open(peer, "/skein/rpc/1", addressesOf(peer), limit)
          },
          catch: (error) => unavailable(`the node ${peer} cannot be reached: ${reasonOf(error)}`)
        })
        const own = yield* Scope.fork(scope, scope.strategy)
        const forget = Effect.suspend(() => {
          if (entries.get(peer) === entry) entries.delete(peer)
          return Scope.close(own, Exit.void)
        })
        const wire = yield* makeWire(peer, channel, forget).pipe(Scope.extend(own))
        const raw = yield* RpcClient.make(MeshRpc, { disableTracing: true }).pipe(
          Effect.provideService(RpcClient.Protocol, wire.protocol),
          Scope.extend(own)
        )
        return bounded(peer, raw, wire, timeout)
      })

    const start = (peer: PeerKey): Effect.Effect<MeshRpcClient, MeshRpcError> =>
      Effect.gen(function* () {
        const entry = yield* Deferred.make<MeshRpcClient, MeshRpcError>()
        entries.set(peer, entry)
        yield* connect(peer, entry).pipe(
          Effect.tapErrorCause(() =>
            Effect.sync(() => {
              if (entries.get(peer) === entry) entries.delete(peer)
            })
          ),
          Effect.intoDeferred(entry),
          // Not a child of the caller: others wait for it too.
          Effect.forkIn(scope)
        )
        return yield* Deferred.await(entry)
      })

    return {
      client: (peer) =>
        Effect.suspend(() => {
          const known = entries.get(peer)
          return known === undefined ? start(peer) : Deferred.await(known)
        })
    }
  })
