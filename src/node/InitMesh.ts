/** `skein init` for programs. */
import { Clock, Effect, Either, Schema } from "effect"
import { hostNodeName } from "../config/NodeConfig.ts"
import { explain } from "../schema/ExplainIssue.ts"
import { NodeName } from "../schema/NamesSchema.ts"
import type { RunningNode } from "./RunningNode.ts"
import { StartError } from "./StartError.ts"

export interface InitMeshOptions {
  /** Where keys and certificate go. One that holds an identity is refused. */
  readonly dataDir: string
  /** What people call the mesh. Default: `skein`. */
  readonly mesh?: string | undefined
  /** What people call its first node. Default: the host's name. */
  readonly name?: string | undefined
}

/**
 * Makes a new mesh and its first node, whose `dataDir` then holds the mesh's root key: keep a copy
 * in a safe place. A node started on it needs no token.
 */
export const initMesh = (
  options: InitMeshOptions
): Effect.Effect<Pick<RunningNode, "mesh" | "name" | "peer">, StartError> =>
  Effect.gen(function* () {
    const { dataDir, mesh: meshName = "skein", name = hostNodeName() } = options
    const nodeName = yield* Either.mapLeft(Schema.decodeUnknownEither(NodeName)(name), (cause) => {
      const message = explain(cause.issue)
        .map(({ message }) => message)
        .join("; ")
      return new StartError({ code: "invalid_name", message, cause })
    })
    const now = yield* Clock.currentTimeMillis
    // Keys and certificates take libp2p's code, which a program needs for nothing else.
    const DataDir = yield* Effect.promise(() => import("../mesh/keys/DataDir.ts"))
    const identity = yield* Effect.mapError(
      DataDir.initMesh({ dataDir, meshName, nodeName, now }),
      StartError.from
    )
    const { mesh, name: given, peer } = identity
    return { name: given, peer, mesh: { id: mesh, name: identity.meshName } }
  })
