import * as Runners from "@effect/cluster/Runners"
import * as RpcClient from "@effect/rpc/RpcClient"
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import type { Call } from "../model/Exchange.ts"
import type { FaultCode } from "../model/Fault.ts"
import { PeerKey, ServiceName } from "../model/Names.ts"
import { refuse } from "../model/RefusedExchange.ts"
import { makeRunnerCalls } from "./RunnerCalls.ts"

const service = ServiceName.make("checkout")
const peer = PeerKey.make("12D3KooWGRUVh8NLfSAbc52sBVRLFBqGZxCHsVPVHzQV5FCuaJ8M")
const key = `${peer}/checkout/program-1`

/** What becomes of a call that the mesh ends, and the call. */
const ended = (code: FaultCode) =>
  Effect.gen(function* () {
    const calls: Array<Call> = []
    const protocol = yield* makeRunnerCalls({
      ...{ key, service },
      caller: {
        peer,
        dispatch: (call, receiver) => {
          calls.push(call)
          return refuse(receiver, { code, message: "…", node: "host-a", service, sent: true })
        }
      }
    })
    const client = yield* Effect.provideService(Runners.makeRpcClient, RpcClient.Protocol, protocol)
    const cause = yield* Effect.flip(Effect.sandbox(client.Ping()))
    return { calls, cause }
  }).pipe(Effect.scoped)

describe("calls to a runner", () => {
  it.effect("go to its endpoint and no other", () =>
    Effect.gen(function* () {
      const { calls } = yield* ended("upstream_reset")
      expect(calls).toMatchObject([{ service, only: key, head: { method: "POST" } }])
    })
  )

  it.effect.each([
    "upstream_reset",
    "upstream_connect",
    "no_healthy_endpoint",
    "draining"
  ] as const)("%s is the cluster's to send again", (code) =>
    Effect.gen(function* () {
      const { cause } = yield* ended(code)
      expect(cause).toMatchObject({ _tag: "Fail", error: { _tag: "RpcClientError" } })
    })
  )

  it.effect.each(["denied", "upstream_timeout", "client_timeout"] as const)(
    "%s is told to who sent the message",
    (code) =>
      Effect.gen(function* () {
        const { cause } = yield* ended(code)
        expect(cause).toMatchObject({ _tag: "Die", defect: { _tag: "MeshFault", code } })
      })
  )
})
