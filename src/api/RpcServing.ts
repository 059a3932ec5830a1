/**
 * The calls of a service as an `RpcServer` takes them. Each exchange is a client of its own there, with one
 * request: a defect of one is nothing to the others, and an exchange that is cancelled is a client that
 * has gone.
 */
import type { FromClientEncoded, FromServerEncoded, RequestEncoded } from "@effect/rpc/RpcMessage"
import * as RpcServer from "@effect/rpc/RpcServer"
import { Cause, Context, Effect, Exit, Mailbox, Option, Runtime, type Scope } from "effect"
import type { Caller } from "../model/Caller.ts"
import type { Dispatch } from "../model/Exchange.ts"
import type { ServiceName } from "../model/Names.ts"
import { refuse } from "../model/RefusedExchange.ts"
import { CallCount } from "./CallCount.ts"
import { CalledBy } from "./CalledBy.ts"
import type { MeshProgram } from "./MeshProgram.ts"
import { RpcAnswering } from "./RpcAnswering.ts"
import { ServedCall } from "./ServedCall.ts"

type Write = (clientId: number, message: FromClientEncoded) => Effect.Effect<void>

interface Client {
  readonly call: ServedCall
  readonly answering: RpcAnswering
}

/** By which the handler of each RPC stands in the context of its server (`Rpc.key`). */
const handlerKey = "@effect/rpc/Rpc/"

/**
 * What a request's fiber has of the server's: what its RPC's Schemas may need, which @effect/rpc asks of whoever
 * runs the server. The handlers of all its RPCs are left out, which nothing finds there: each request joins this
 * with its own handler's context three times, one entry after the other.
 */
const ofRequests = (server: Context.Context<never>): Context.Context<never> => {
  const entries = [...server.unsafeMap].filter(
    ([key]) => !key.startsWith(handlerKey) && key !== RpcServer.Protocol.key
  )
  return Context.unsafeMake(new Map(entries))
}

/** A runtime in which `CalledBy` is who calls: calls come in rows, so that of the last one is kept. */
const callersRuntime = (
  runtime: Runtime.Runtime<never>
): ((caller: Caller) => Runtime.Runtime<never>) => {
  let last: { readonly caller: Caller; readonly runtime: Runtime.Runtime<never> } | undefined
  return (caller) => {
    if (last?.caller !== caller) {
      const context = Context.add(runtime.context, CalledBy, caller)
      last = { caller, runtime: { ...runtime, context } }
    }
    return last.runtime
  }
}

/** `offer`: has the calls of the service come to the dispatch, from when the server runs until the scope closes. */
export const makeRpcServing = (
  program: MeshProgram["Type"],
  service: ServiceName,
  offer: (dispatch: Dispatch) => Effect.Effect<void, never, Scope.Scope>
): Effect.Effect<RpcServer.Protocol["Type"]> =>
  Effect.gen(function* () {
    const disconnects = yield* Mailbox.make<number>()
    const clients = new Map<number, Client>()
    const calls = new CallCount()
    let lastId = 0

    /** Whose one call is over. The server has them as clients until it hears that they have gone. */
    let over = new Set<number>()

    const gone = (id: number): boolean => {
      const known = clients.delete(id)
      if (known) calls.end()
      return known
    }

    const tellOver = (): void => {
      const ids = over
      over = new Set()
      for (const id of ids) disconnects.unsafeOffer(id)
    }

    /**
     * Told in a turn of its own, when the fiber that has answered is over: who goes before is interrupted. To
     * end a client by `Eof` would cost two fibers more.
     */
    const isOver = (id: number): void => {
      if (!gone(id)) return
      if (over.size === 0) setImmediate(tellOver)
      over.add(id)
    }

    /** Who has it in work is interrupted at once. */
    const isCancelled = (id: number): void => {
      if (over.delete(id)) disconnects.unsafeOffer(id)
    }

    const begin = (write: Write, runtime: Runtime.Runtime<never>): Dispatch => {
      const runtimeFor = callersRuntime(runtime)
      const ask = (id: number, call: ServedCall, request: RequestEncoded): void => {
        const asking = Runtime.runFork(runtimeFor(call.call.identity), write(id, request))
        asking.addObserver((exit) => {
          if (Exit.isSuccess(exit)) return
          call.fail("upstream_reset", `broke: ${Cause.pretty(exit.cause)}`)
        })
      }
      return (call, receiver) => {
        const { head } = call
        const node = program.node()
        if (head === undefined) {
          const message = `the program of ${service} takes RPCs, and no tunnels`
          return refuse(receiver, { code: "bad_request", message, node, service, sent: false })
        }
        const id = ++lastId
        const served = new ServedCall(call, head, receiver, {
          node,
          onOver: () => isOver(id),
          onCancel: () => isCancelled(id)
        })
        const answering = new RpcAnswering(served)
        clients.set(id, { call: served, answering })
        calls.begin()
        // Nothing may be answered before this has returned.
        queueMicrotask(() => answering.request((request) => ask(id, served, request)))
        return served
      }
    }

    const run: RpcServer.Protocol["Type"]["run"] = (write) =>
      Effect.gen(function* () {
        const runtime = yield* Effect.runtime<never>()
        const context = ofRequests(runtime.context)
        const dispatch = begin(write, { ...runtime, context })
        yield* Effect.addFinalizer(() => Effect.suspend(() => calls.ended(program.drainDeadline())))
        yield* offer(dispatch)
        return yield* Effect.never
      }).pipe(Effect.scoped)

    const send = (id: number, message: FromServerEncoded): Effect.Effect<void> =>
      Effect.suspend(() => {
        const client = clients.get(id)
        if (client === undefined) return Effect.void
        const { answering } = client
        if (message._tag !== "Exit" && message._tag !== "Defect") return answering.send(message)
        answering.end(message)
        return Effect.void
      })

    return {
      run,
      send,
      disconnects,
      end: (id) =>
        Effect.sync(() => {
          const client = clients.get(id)
          // It is the server that says so.
          gone(id)
          client?.call.fail("upstream_reset", "has ended without having answered")
        }),
      clientIds: Effect.sync(() => new Set(clients.keys())),
      initialMessage: Effect.succeed(Option.none()),
      supportsAck: false,
      supportsTransferables: false,
      supportsSpanPropagation: true
    }
  })
