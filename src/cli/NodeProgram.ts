/**
 * The node itself, behind an import that happens only when a node is to run: libp2p and all that
 * takes most of a second to load, which `skein status` need not wait for.
 */
import { Effect, type Scope } from "effect"
import type { ReloadResult } from "../admin/ControlModel.ts"
import type { ConfigOverride } from "../config/ConfigFile.ts"
import type { NodeConfig } from "../config/NodeConfig.ts"

export interface NodeInput {
  readonly config: NodeConfig
  /** What `reload` reads again; undefined: the config came from elsewhere and cannot change. */
  readonly configPath: string | undefined
  /** What the command line and the environment said; `reload` lays it over the file again. */
  readonly overrides: ReadonlyArray<ConfigOverride>
  /** An invite token. */
  readonly join: string | undefined
}

/** Why a node did not start: stable code, message with the value and the mend. */
export interface NodeStartFailure extends Error {
  readonly code: string
}

/** A started node; it stops when its scope closes. */
export interface RunningNode {
  readonly name: string
  readonly peer: string
  readonly mesh: { readonly id: string; readonly name: string }
  /** What is open on this host for other nodes: multiaddrs. */
  readonly listening: ReadonlyArray<string>
  /** Where they are told to connect: multiaddrs. */
  readonly addresses: ReadonlyArray<string>
  readonly admin: string | undefined
  readonly proxy: string | undefined
  /** The name server, and the domain it answers for. */
  readonly names: { readonly address: string; readonly suffix: string } | undefined
  /** Where programs of this host attach, and for whom those speak. */
  readonly attach: ReadonlyArray<{ readonly address: string; readonly as: string }>
  /** That carry requests; 0: they have none of their own. */
  readonly threads: number
  /** Takes nothing new, and ends when nothing is in flight or the deadline has passed. */
  readonly drain: Effect.Effect<void>
  /** Milliseconds; as the last reload says. */
  readonly drainDeadline: () => number
  readonly reload: Effect.Effect<ReloadResult, Error>
  /** Ends when the node was told through its admin API to leave. */
  readonly stopped: Effect.Effect<void>
}

export type RunNode = (
  input: NodeInput
) => Effect.Effect<RunningNode, NodeStartFailure, Scope.Scope>

export const loadNode: Effect.Effect<RunNode> = Effect.promise(async () => {
  const { runLives } = await import("../NodeLives.ts")
  return runLives
})
