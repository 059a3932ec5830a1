/** What a node is started from, and what a program has of one that runs. */
import type { Effect, Scope } from "effect"
import type { AdminSource } from "../admin/AdminSource.ts"
import type { ReloadResult } from "../admin/ControlModel.ts"
import type { MeshDirectory } from "../api/MeshDirectory.ts"
import type { MeshProgram } from "../api/MeshProgram.ts"
import type { ConfigOverride } from "../config/ConfigFile.ts"
import type { NodeConfig } from "../config/NodeConfig.ts"
import type { Dispatch } from "../model/Exchange.ts"
import type { PeerKey, ServiceName } from "../model/Names.ts"
import type { HostMemory } from "../request/HostMemory.ts"
import type { ListenSpec } from "../request/PlaneMessages.ts"
import type { ProgramOffer, ServeRefused } from "../schema/ProgramOfferSchema.ts"
import type { AskedProgram } from "./AskedProgram.ts"
import type { Attached } from "./AttachedPrograms.ts"
import type { Descriptors } from "./Descriptors.ts"
import type { SpawnPlane } from "./PlaneThread.ts"
import type { StartError } from "./StartError.ts"

export interface NodeInput {
  readonly config: NodeConfig
  /** What `reload` reads again; undefined: the config is a value and cannot change. */
  readonly configPath?: string | undefined
  /** Laid over the file again at each reload: what the command line and the environment said. */
  readonly overrides?: ReadonlyArray<ConfigOverride> | undefined
  /** An invite token: only used while the data directory holds no identity. */
  readonly join?: string | undefined
  /** What this process may open, and has open. Default: what the system says. */
  readonly descriptors?: Descriptors | undefined
}

/** What the mesh thread of a program's node is started from besides. */
export interface AssemblyInput extends NodeInput {
  /** The plane in the program's thread, which makes the calls; undefined: there is no program. */
  readonly program?: ProgramSide | undefined
  /** Request threads that there are already, or that outlive this mesh plane. Default: it makes its own. */
  readonly planes?: ReadonlyArray<ProgramSide> | undefined
  /** What the program serves by itself at the start. Default: nothing. */
  readonly programs?: ReadonlyArray<ProgramOffer> | undefined
  /** Asks that program how its actors fare. */
  readonly askActors?: AskedProgram["ask"] | undefined
  /** Programs that were attached to the life before. Default: none. */
  readonly attached?: ReadonlyArray<Attached> | undefined
  /** Who is attached is another now, or serves something else. */
  readonly onAttached?: ((programs: ReadonlyArray<Attached>) => void) | undefined
  /** Lives of the mesh thread before this one. */
  readonly restarts?: number | undefined
  /** Takes the data directory. Default: for as long as this node is. */
  readonly lock?: Effect.Effect<void, StartError, Scope.Scope> | undefined
  /** A config that was read again is in effect. */
  readonly onReloaded?: ((config: NodeConfig) => void) | undefined
}

export interface ProgramSide {
  readonly spawn: SpawnPlane
  /** Its plane has this port open already, from before this thread began. */
  readonly holds: (spec: ListenSpec) => boolean
  /** What it shares with the node's other planes. */
  readonly memory: HostMemory
}

export interface NameServer {
  readonly address: string
  readonly suffix: string
}

/** Where programs attach, and for whom those speak: `orders`, or `host/NAME`. */
export interface AttachPlace {
  /** `unix:/path`, or `host:port`. */
  readonly address: string
  readonly as: string
}

export interface RunningNode {
  readonly name: string
  readonly peer: PeerKey
  readonly mesh: { readonly id: string; readonly name: string }
  /** What is open on this host for other nodes: multiaddrs, with the port that was got for a 0. */
  readonly listening: ReadonlyArray<string>
  /** Where they are told to connect: multiaddrs. */
  readonly addresses: ReadonlyArray<string>
  /** `host:port` or `unix:/path` of the admin API; undefined when it is off. */
  readonly admin: string | undefined
  /** `host:port` of the proxy; undefined when it is off. */
  readonly proxy: string | undefined
  /** The name server, `host:port`, and the domain it answers for; undefined when it is off. */
  readonly names: NameServer | undefined
  /** Where programs of this host attach (`programs`). */
  readonly attach: ReadonlyArray<AttachPlace>
  /** Threads that carry requests; 0: they share this one. */
  readonly threads: number
  /** Entrance of the outbound stack, for programs in this process. */
  readonly dispatch: Dispatch
  /** What the admin API serves. */
  readonly source: AdminSource["Type"]
  /**
   * Done when the node has met its mesh and knows what is offered there; a restarted one that nobody
   * answers serves from what it last knew after 3 s.
   */
  readonly ready: Effect.Effect<void>
  /** Done as soon as this node knows a healthy endpoint of the service. */
  readonly awaitService: (service: ServiceName) => Effect.Effect<void>
  /** Announces, and is done when nothing is in flight or the deadline has passed. */
  readonly drain: Effect.Effect<void>
  /**
   * Drains, and says good-bye: the other nodes forget this one until it is started again, which
   * takes no token. For programs that end for good; who only stops is waited for by the others.
   */
  readonly leave: Effect.Effect<void>
  /** Milliseconds; as the last reload says. */
  readonly drainDeadline: () => number
  readonly reload: Effect.Effect<ReloadResult, Error>
  /**
   * Done when the node has left, by `leave` or because its admin API was told to. Dies when the node
   * cannot go on, because what keeps its parts alive has failed: then it is to be closed.
   */
  readonly stopped: Effect.Effect<void>
}

/** One that runs in a program: what the program serves is offered by it. */
export interface ProgramNode extends RunningNode {
  readonly programs: MeshProgram["Type"]
  /** Who offers what, as this node sees it. */
  readonly directory: MeshDirectory["Type"]
}

/** The same, as it is where the mesh plane is. */
export interface AssembledNode extends RunningNode {
  /** Why a program may not serve it here, if it may not. */
  readonly mayServe: (service: ServiceName) => Effect.Effect<void, ServeRefused>
  /** All that programs serve by themselves. Done when the mesh has been told. */
  readonly serve: (programs: ReadonlyArray<ProgramOffer>) => Effect.Effect<void>
}
