/** Calls to one runner, through the mesh: what @effect/cluster sends by, in place of sockets. */
import type * as RpcClient from "@effect/rpc/RpcClient"
import type { RpcClientError } from "@effect/rpc/RpcClientError"
import { Effect } from "effect"
import type { MeshCaller } from "../api/MeshCaller.ts"
import { MeshFault } from "../api/MeshFault.ts"
import { makeRpcCaller } from "../api/RpcCaller.ts"
import type { FaultCode } from "../model/Fault.ts"
import type { ServiceName } from "../model/Names.ts"

/**
 * What asking again would not mend, or would do twice: who answers too late may still be at it. All else is
 * @effect/cluster's to send again, to whoever has the shard by then.
 */
const final: ReadonlySet<FaultCode> = new Set([
  "bad_request",
  "denied",
  "client_timeout",
  "upstream_timeout"
])

const isFinal = ({ cause }: RpcClientError): boolean =>
  cause instanceof MeshFault && final.has(cause.code)

export interface RunnerCallsOptions {
  readonly caller: MeshCaller["Type"]
  readonly service: ServiceName
  /** Key of the runner's endpoint. */
  readonly key: string
}

export const makeRunnerCalls = ({
  caller,
  key,
  service
}: RunnerCallsOptions): Effect.Effect<RpcClient.Protocol["Type"]> =>
  Effect.map(
    makeRpcCaller({ caller, service, only: key, isIdempotent: () => false }),
    (protocol) => ({
      ...protocol,
      // A defect is what ends a message that is not kept; one that is kept is looked for in the storage.
      send: (...args) =>
        Effect.catchIf(protocol.send(...args), isFinal, (error) => Effect.die(error.cause))
    })
  )
