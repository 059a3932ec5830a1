import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { Rpc, RpcClient, RpcGroup } from "@effect/rpc"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Schema, Stream } from "effect"
import { serviceCaller } from "../model/Caller.ts"
import { streamBody } from "../model/Exchange.ts"
import { PeerKey, ServiceName } from "../model/Names.ts"
import { microtasks } from "../testing/OutboundFixture.ts"
import { responseHead, ScriptedCallee } from "../testing/ScriptedCallee.ts"
import { MeshCaller } from "./MeshCaller.ts"
import { encodeMessage, rpcType } from "./RpcBody.ts"
import { layerClient } from "./RpcOverMesh.ts"

const Clock = RpcGroup.make(Rpc.make("Ticks", { success: Schema.Int, stream: true }))

const identity = serviceCaller(ServiceName.make("orders"))
const peer = PeerKey.make("12D3KooWGRUVh8NLfSAbc52sBVRLFBqGZxCHsVPVHzQV5FCuaJ8M")

/** A stream that has begun, and who answers it. */
const ticking = (seen: (tick: number) => void) =>
  Effect.gen(function* () {
    const callee = new ScriptedCallee()
    const client = yield* RpcClient.make(Clock).pipe(
      Effect.provide(
        Layer.provide(
          layerClient("clock"),
          Layer.succeed(MeshCaller, { dispatch: callee.dispatch, peer, identity })
        )
      )
    )
    const reading = yield* client.Ticks().pipe(
      Stream.runForEach((tick) => Effect.sync(() => seen(tick))),
      Effect.fork
    )
    yield* turn
    callee.receiver.onHead(responseHead(200, ["content-type", rpcType], streamBody))
    return { callee, reading }
  })

const turn = Effect.promise(() => new Promise<void>((resolve) => setImmediate(resolve)))

const tick = () => encodeMessage({ _tag: "Chunk", requestId: "0", values: [1] })

setFlagsFromString("--expose-gc")
const collectGarbage: () => void = runInNewContext("gc")

/** Bytes in use that are no garbage. */
const heldBytes = (): number => {
  collectGarbage()
  return process.memoryUsage().heapUsed
}

describe("an RPC's stream at its client", () => {
  it.scoped("keeps nothing of a piece that was read, for as long as it lasts", () =>
    Effect.gen(function* () {
      const pieces = 2_000
      let seen = 0
      const { callee, reading } = yield* ticking(() => void seen++)
      const come = async (): Promise<void> => {
        for (let i = 0; i < pieces; i++) {
          callee.receiver.onData(tick())
          await new Promise<void>((resolve) => setImmediate(resolve))
        }
      }
      yield* Effect.promise(come)
      const before = heldBytes()
      yield* Effect.promise(come)
      const grown = heldBytes() - before
      expect(seen).toBe(2 * pieces)
      // A frame for each on its fiber's stack were 1.9 KB each.
      expect(grown / pieces).toBeLessThan(200)
      yield* Fiber.interrupt(reading)
    })
  )

  it.scoped("is cancelled with its reader, before a piece has come and after", () =>
    Effect.gen(function* () {
      for (const pieces of [0, 1, 2]) {
        let seen = 0
        const { callee, reading } = yield* ticking(() => void seen++)
        for (let i = 0; i < pieces; i++) {
          callee.receiver.onData(tick())
          yield* turn
        }
        yield* Effect.promise(microtasks)
        expect(callee.cancelled).toBeUndefined()
        yield* Fiber.interrupt(reading)
        expect(seen).toBe(pieces)
        expect(callee.cancelled?.code).toBe("client_gone")
      }
    })
  )
})
