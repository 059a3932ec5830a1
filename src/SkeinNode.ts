/** A node inside a program: as a layer, or started by hand. */
import { Context, Effect, Layer, type Scope } from "effect"
import { MeshCaller } from "./api/MeshCaller.ts"
import { MeshDirectory } from "./api/MeshDirectory.ts"
import { MeshProgram } from "./api/MeshProgram.ts"
import type { NodeConfigInput } from "./config/NodeConfig.ts"
import { hostCaller } from "./model/Caller.ts"
import { NodeName } from "./model/Names.ts"
import { decodeEmbedded, untilMet } from "./node/Embedded.ts"
import { runEmbedded } from "./node/EmbeddedNode.ts"
import type { NodeInput, ProgramNode } from "./node/RunningNode.ts"
import type { StartError } from "./node/StartError.ts"
import { Skein } from "./Skein.ts"

/**
 * Starts a node; it stops when the scope closes. Draining first is the caller's choice. Calls are
 * made in this thread, by `dispatch`; all that knows the mesh runs in one of its own, and what
 * `node.threads` says carries requests besides.
 */
export const runNode = (input: NodeInput): Effect.Effect<ProgramNode, StartError, Scope.Scope> =>
  runEmbedded(input)

/**
 * A node as a layer, for Effect programs. It is built when the node has met its mesh, so that the
 * first call finds its service, and drained before it is released.
 */
export class SkeinNode extends Context.Tag("skein/SkeinNode")<SkeinNode, ProgramNode>() {
  /**
   * From a config value, as it would be written in `skein.yaml`, but with the defaults of a node
   * beside others: any free port on all interfaces (`node.listen`), no admin API, no proxy, no
   * threads for requests but the program's own, and a name of its own. `join` is an invite token,
   * needed until `node.dataDir` holds an identity; an empty one is none.
   */
  static readonly layer = (
    config: NodeConfigInput,
    options: { readonly join?: string | undefined } = {}
  ): Layer.Layer<SkeinNode | Skein | MeshCaller | MeshDirectory | MeshProgram, StartError> => {
    const caller = Layer.effect(
      MeshCaller,
      Effect.map(SkeinNode, ({ dispatch, name, peer }) => ({
        ...{ dispatch, peer },
        identity: hostCaller(NodeName.make(name))
      }))
    )
    const program = Layer.effect(
      MeshProgram,
      Effect.map(SkeinNode, ({ programs }) => programs)
    )
    const skein = Layer.effect(
      Skein,
      Effect.map(SkeinNode, (node) => ({
        node: () => node.name,
        awaitService: node.awaitService
      }))
    )
    const directory = Layer.effect(
      MeshDirectory,
      Effect.map(SkeinNode, ({ directory: all }) => all)
    )
    const beside = config.node?.name === undefined ? "unnamed" : "named"
    const node = decodeEmbedded(config).pipe(
      Effect.flatMap((decoded) => runEmbedded({ config: decoded, join: options.join, beside })),
      Effect.tap((running) => Effect.addFinalizer(() => running.drain)),
      Effect.tap(untilMet)
    )
    return Layer.provideMerge(
      Layer.mergeAll(caller, program, directory, skein),
      Layer.scoped(SkeinNode, node)
    )
  }
}
