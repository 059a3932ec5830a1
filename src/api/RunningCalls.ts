/** The calls that a program has in work, each in a fiber: the bridge from callbacks to its handlers. */
import * as FileSystem from "@effect/platform/FileSystem"
import * as HttpIncomingMessage from "@effect/platform/HttpIncomingMessage"
import * as HttpServerError from "@effect/platform/HttpServerError"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import { Context, Effect, type Fiber, FiberSet, Option, type Scope } from "effect"
import type { Dispatch } from "../model/Exchange.ts"
import { refuse } from "../model/RefusedExchange.ts"
import { CallCount } from "./CallCount.ts"
import { CalledBy } from "./CalledBy.ts"
import { ServedCall } from "./ServedCall.ts"
import { ServedRequest } from "./ServedRequest.ts"

/** Of a body that is read whole, where the program says nothing else (`withMaxBodySize`). */
const usualBody = Option.some(FileSystem.MiB(10))

export interface RunningCallsOptions<R> {
  /** Answers the request in its context. */
  readonly handled: Effect.Effect<void, never, R>
  /** Name of the node, for faults. */
  readonly node: () => string
  /** Milliseconds that what runs may take to end by itself, once the scope closes. */
  readonly drainDeadline: () => number
}

/** Where calls come in. As the scope closes what runs may end, until the deadline; WebSockets are closed. */
export const runningCalls = <R>({
  drainDeadline,
  handled,
  node
}: RunningCallsOptions<R>): Effect.Effect<
  Dispatch,
  never,
  Exclude<R, HttpServerRequest.HttpServerRequest> | Scope.Scope
> =>
  Effect.gen(function* () {
    const program = yield* Effect.context<Exclude<R, HttpServerRequest.HttpServerRequest>>()
    const { key } = HttpIncomingMessage.MaxBodySize
    const common = program.unsafeMap.has(key)
      ? program
      : Context.add(program, HttpIncomingMessage.MaxBodySize, usualBody)
    const run = yield* FiberSet.makeRuntime<never, void, never>()
    const calls = new CallCount()
    const switched = new Set<ServedCall>()
    let isEnding = false
    yield* Effect.addFinalizer(() =>
      Effect.suspend(() => {
        isEnding = true
        for (const call of switched) call.leave()
        return calls.ended(drainDeadline())
      })
    )

    const start = (call: ServedCall): Fiber.RuntimeFiber<void> => {
      const context = common.pipe(
        Context.add(HttpServerRequest.HttpServerRequest, new ServedRequest(call)),
        Context.add(CalledBy, call.call.identity)
      )
      // Its context is the program's, and what has just been added.
      const fiber = run(Effect.provide(handled, context as Context.Context<R>))
      fiber.addObserver(() => {
        // What it has switched to ends in its own way, which takes longer.
        if (!call.switched) call.fail("upstream_reset", "has ended without having answered")
        switched.delete(call)
        calls.end()
      })
      return fiber
    }

    return (call, receiver) => {
      const { head } = call
      if (head === undefined) {
        const { service } = call
        const message = `the program of ${service} takes HTTP requests, and no tunnels`
        return refuse(receiver, {
          code: "bad_request",
          message,
          node: node(),
          service,
          sent: false
        })
      }
      let fiber: Fiber.RuntimeFiber<void> | undefined
      const served = new ServedCall(call, head, receiver, {
        node: node(),
        onCancel: () => fiber?.unsafeInterruptAsFork(HttpServerError.clientAbortFiberId),
        onSwitch: () => {
          switched.add(served)
          if (isEnding) served.leave()
        }
      })
      calls.begin()
      // A fiber begins at once, and nothing may be answered before this has returned.
      queueMicrotask(() => {
        if (served.over) calls.end()
        else fiber = start(served)
      })
      return served
    }
  })
