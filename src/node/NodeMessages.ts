/**
 * What a program and the mesh thread of its node say to each other. Plain data: it crosses a
 * MessagePort, and the two sides are realms of their own, with effects of their own.
 */
import type { ConfigOverride } from "../config/ConfigFile.ts"
import type { NodeConfig } from "../config/NodeConfig.ts"
import type { PeerKey } from "../model/Names.ts"
import type { HostMemory } from "../request/HostMemory.ts"
import type { FromPlane, ListenSpec, PlaneSetup, ToPlane } from "../request/PlaneMessages.ts"
import type { ActorQuestion, ActorReports } from "../schema/ActorReportSchema.ts"
import type { ProgramOffer } from "../schema/ProgramOfferSchema.ts"
import type { Descriptors } from "./Descriptors.ts"
import type { NodeCallName } from "./NodeCalls.ts"
import type { AttachPlace } from "./RunningNode.ts"

/** What a life of the mesh thread begins with. */
export interface MeshStart {
  readonly config: NodeConfig
  readonly configPath: string | undefined
  readonly overrides: ReadonlyArray<ConfigOverride> | undefined
  readonly join: string | undefined
  readonly descriptors: Descriptors | undefined
  /**
   * It stands beside the host's own. `unnamed`: the program has not named it, and it is called what
   * its identity says, or beside the host's name.
   */
  readonly beside: "named" | "unnamed" | undefined
  /** Below this level (of Effect's, by ordinal) the program's log takes nothing. */
  readonly logFrom: number
  /** Ports that the program's plane has open already, as a life before this one asked for them. */
  readonly held: ReadonlyArray<ListenSpec>
  /** What the program's plane shares with the node's others. */
  readonly memory: HostMemory
  /** What the program serves by itself, as it was said to a life before this one. */
  readonly programs: ReadonlyArray<ProgramOffer>
  /** Lives before this one. */
  readonly restarts: number
  /** A life before this one was draining. */
  readonly draining: boolean
}

/** What a program sees of a node without asking. */
export interface NodeFacts {
  readonly name: string
  readonly peer: PeerKey
  readonly mesh: { readonly id: string; readonly name: string }
  readonly listening: ReadonlyArray<string>
  readonly addresses: ReadonlyArray<string>
  readonly admin: string | undefined
  readonly proxy: string | undefined
  readonly names: { readonly address: string; readonly suffix: string } | undefined
  readonly attach: ReadonlyArray<AttachPlace>
  readonly threads: number
  /** Milliseconds. */
  readonly drainDeadline: number
}

/** A failure as it crosses: its cause has become text. */
export interface ToldFailure {
  readonly code: string
  readonly message: string
  readonly cause: string | undefined
}

export interface ToldLog {
  readonly type: "log"
  /** Label of Effect's log level. */
  readonly level: string
  readonly messages: ReadonlyArray<string | number | boolean>
  readonly annotations: Readonly<Record<string, string | number | boolean>>
  /** As it would be printed; undefined: none. */
  readonly cause: string | undefined
}

export type ToMesh =
  | { readonly type: "plane"; readonly message: FromPlane }
  /** Answer to `lock`: the data directory is this node's, or why not. */
  | { readonly type: "locked"; readonly failure: ToldFailure | undefined }
  | {
      readonly type: "call"
      readonly id: number
      readonly name: NodeCallName
      readonly payload: unknown
    }
  /** Nobody waits for its answer any more. */
  | { readonly type: "cancel"; readonly id: number }
  /** To `actors`: what the program says of its actors. */
  | { readonly type: "actors"; readonly id: number; readonly reports: ActorReports }
  /** So many messages of the log have been taken. */
  | { readonly type: "logged"; readonly count: number }
  /** The node ends; `ended` follows. */
  | { readonly type: "stop" }

export type FromMesh =
  | ToldLog
  /** Asks for the data directory: it is the program's for as long as the node is, over all lives. */
  | { readonly type: "lock" }
  /** Asks for the plane in the program's thread. */
  | { readonly type: "plane.begin"; readonly setup: PlaneSetup }
  | { readonly type: "plane"; readonly message: ToPlane }
  | { readonly type: "started"; readonly facts: NodeFacts }
  /** It has not started; nothing follows but `ended`. */
  | { readonly type: "failed"; readonly failure: ToldFailure }
  /** It has met its mesh, or needs to wait for it no longer. */
  | { readonly type: "met" }
  /** The config was read again: what is in effect now, also for lives to come. */
  | { readonly type: "reloaded"; readonly config: NodeConfig }
  /** To `call`: an exit, encoded. */
  | { readonly type: "answer"; readonly id: number; readonly exit: unknown }
  /** Asks how the program's actors fare. */
  | { readonly type: "actors"; readonly id: number; readonly question: ActorQuestion }
  | { readonly type: "ended" }
