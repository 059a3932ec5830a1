import { Rpc, RpcClient, RpcGroup } from "@effect/rpc"
import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Scope, TestClock } from "effect"
import { exchange, httpCall } from "../testing/InboundFixture.ts"
import { pair, peer } from "../testing/LedgerRpc.ts"
import { MeshCaller } from "./MeshCaller.ts"
import * as MeshRpc from "./RpcOverMesh.ts"

describe("a server of RPCs", () => {
  const type = ["content-type", "application/vnd.skein.rpc+msgpack"]

  it.scoped("answers others in words", () =>
    Effect.gen(function* () {
      const { dispatch } = yield* pair()
      const post = (fields: ReadonlyArray<string>, body: string) =>
        Effect.promise(() => {
          const framing = { kind: "length", length: body.length } as const
          return exchange(dispatch, httpCall({ method: "POST", fields, framing }), body)
        })
      const curl = yield* post([], "x")
      expect([curl.head?.status, curl.text]).toEqual([415, expect.stringContaining("speaks RPC")])
      expect((yield* post(type, "x")).head?.status).toBe(400)
      expect((yield* post(type, "")).head?.status).toBe(400)
    })
  )

  it.scoped("says that it has no such RPC, to this client alone", () =>
    Effect.gen(function* () {
      const { dispatch } = yield* pair()
      const Other = RpcGroup.make(Rpc.make("Other"))
      const statuses: Array<number> = []
      const client = yield* RpcClient.make(Other).pipe(
        Effect.provide(MeshRpc.layerClient("ledger")),
        Effect.provideService(MeshCaller, {
          peer,
          dispatch: (call, receiver) => {
            const onHead = receiver.onHead.bind(receiver)
            receiver.onHead = (head) => {
              statuses.push(head.status)
              onHead(head)
            }
            return dispatch(call, receiver)
          }
        })
      )
      const exit = yield* Effect.exit(client.Other())
      expect(Exit.isFailure(exit) && String(exit.cause)).toContain("Unknown request tag: Other")
      expect(statuses).toEqual([404])
    })
  )

  it.scoped("ends what runs by itself, after the mesh has heard of it", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const { client, events, seen } = yield* pair(scope)
      const never = yield* Effect.fork(client.Never())
      yield* Deferred.await(seen.begun)
      const closing = yield* Effect.fork(Scope.close(scope, Exit.void))
      yield* TestClock.adjust("29 seconds")
      expect(events).toEqual(["withdraw"])
      expect(never.unsafePoll()).toBeNull()
      yield* TestClock.adjust("1 second")
      yield* closing
      const error = yield* Effect.flip(never)
      expect(MeshRpc.isMeshError(error) && error.cause.code).toBe("upstream_reset")
    })
  )
})
