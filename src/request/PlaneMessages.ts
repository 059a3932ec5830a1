/**
 * What the mesh thread and a request thread say to each other. Plain data: it crosses a MessagePort.
 * Either side may be late or gone at any time; nobody waits for an answer without a limit, and a
 * thread that begins anew is told everything again.
 */
import type { AccessSetting } from "../model/Access.ts"
import type { AttachedProgram } from "../model/AttachedProgram.ts"
import type { LocalService } from "../model/LocalService.ts"
import type { LogLevel } from "../model/Log.ts"
import type { ViewChange } from "../model/MeshView.ts"
import type { PeerKey, ServiceName } from "../model/Names.ts"
import type { Policy } from "../model/Policy.ts"
import type { RelayDown, RelayUp, SocketEnd } from "../model/Relay.ts"
import type { Session, SessionFacts } from "../model/Session.ts"
import type { ThreadOrder, ThreadReport } from "./cells/ThreadReport.ts"
import type { HostMemory } from "./HostMemory.ts"
import type { Denial } from "./inbound/Denials.ts"
import type { ListenErrorCode } from "./listener/ListenError.ts"
import type { OtherUser } from "./listener/Refusals.ts"
import type { EndpointFact } from "./outbound/EndpointStep.ts"
import type { AskedRows, Question } from "./PlaneQuestions.ts"
import type { UnixSpec } from "./socket/UnixPath.ts"

/** What a thread has to know before anything else; all of it stays as long as the thread lives. */
export interface PlaneSetup {
  readonly self: {
    readonly peer: PeerKey
    readonly node: string
    readonly zone?: string | undefined
  }
  /** Which of the request threads this is, from 0. */
  readonly index: number
  /** How many there are. */
  readonly threads: number
  /** Other threads of this node listen on the same ports. */
  readonly sharePorts: boolean
  /** What all of them count in; absent: each counts its own, and has its part of what a host may have. */
  readonly memory?: HostMemory | undefined
  /** Services without a policy get this. */
  readonly defaultPolicy: Policy
  /** Under which services are called beside `.mesh`, in small letters: that of the node's names. */
  readonly suffix?: string | undefined
  /** There is an access log somewhere: lines are to be made. */
  readonly accessLog: boolean
  /** There is a collector: requests are traced. */
  readonly traces: boolean
}

/** A peer that may be called, or calls. */
export interface PeerFacts {
  readonly peer: PeerKey
  /** What people call it. */
  readonly name: string
  /** Multiaddrs without /p2p, most useful first. */
  readonly addresses: ReadonlyArray<string>
}

/**
 * What is to be listened on, and for what. `as`: the service clients speak for; absent: the host.
 * `uid`: the only user whose processes may connect to the port. `grpcWeb`: gRPC-Web is translated, of
 * pages of these origins. `unix`: one request thread alone listens, since a path cannot be shared as ports can.
 */
export type ListenSpec = SocketEnd &
  (
    | {
        readonly kind: "proxy"
        readonly as?: ServiceName | undefined
        readonly uid?: number | undefined
        readonly unix?: UnixSpec | undefined
        readonly grpcWeb?: ReadonlyArray<string> | undefined
      }
    | {
        readonly kind: "http"
        readonly as?: ServiceName | undefined
        readonly uid?: number | undefined
        readonly unix?: UnixSpec | undefined
        readonly service: ServiceName
        readonly remoteNames: ReadonlyArray<string> | undefined
        /** Further names of the service, in small letters. */
        readonly names?: ReadonlyArray<string> | undefined
        readonly grpcWeb?: ReadonlyArray<string> | undefined
        /** Clients may speak anything; who says nothing for so long speaks TCP, ms. Absent: HTTP. */
        readonly detect?: number | undefined
      }
    | {
        readonly kind: "tcp"
        readonly as?: ServiceName | undefined
        readonly uid?: number | undefined
        readonly unix?: UnixSpec | undefined
        readonly service: ServiceName
      }
    /**
     * Links of attached programs. At a path each request thread listens for itself: `unix.path` with a dot
     * and the thread's index behind it.
     */
    | { readonly kind: "programs"; readonly unix?: UnixSpec | undefined }
    /** The node's port: links of other nodes' threads, and what begins as libp2p. */
    | { readonly kind: "mesh"; readonly ipv6Only: boolean }
  )

/** What one thread has found out and all have to know. Times are wall clock, ms. */
export type PlaneFact =
  | (EndpointFact & { readonly service: ServiceName; readonly endpoint: string })
  /** Nothing came from it for too long, on a link that is there. */
  | { readonly kind: "silent"; readonly peer: PeerKey }

export type ToPlane =
  | { readonly type: "view"; readonly change: ViewChange }
  /** Replaces all. */
  | { readonly type: "policies"; readonly policies: ReadonlyMap<ServiceName, Policy> }
  /** What this node's own certificate grants. */
  | { readonly type: "rights"; readonly facts: SessionFacts }
  /** Who may call what. Replaces all; what runs and is no longer allowed ends. */
  | { readonly type: "access"; readonly settings: ReadonlyArray<AccessSetting> }
  /** What this host offers, whole. */
  | { readonly type: "services"; readonly services: ReadonlyArray<LocalService> }
  | {
      readonly type: "health"
      readonly service: ServiceName
      readonly endpoint: string
      readonly healthy: boolean
      readonly reason: string
    }
  | { readonly type: "peer"; readonly facts: PeerFacts }
  | { readonly type: "peer.gone"; readonly peer: PeerKey }
  | { readonly type: "session"; readonly session: Session }
  /** Every link made from sessions with the peer ends at once. */
  | { readonly type: "session.end"; readonly peer: PeerKey; readonly reason: string }
  /** To `session.need`: there is none to be had, and why. A session comes as such. */
  | { readonly type: "session.none"; readonly peer: PeerKey; readonly reason: string }
  | { readonly type: "fact"; readonly fact: PlaneFact }
  /** Programs that are attached, all of them. Links of others end at once. */
  | {
      readonly type: "programs"
      readonly programs: ReadonlyArray<AttachedProgram>
      /** Said by a mesh thread that has begun anew: `program.reach` follows for each that is reached. */
      readonly sayReached: boolean
    }
  /** Why a service is missing in the view, when that is known; undefined: it is no longer so. */
  | { readonly type: "missing"; readonly service: ServiceName; readonly reason: string | undefined }
  /** By what this node does not belong to the mesh, and so is offered nothing; undefined: it does. */
  | { readonly type: "out"; readonly reason: string | undefined }
  | { readonly type: "sample"; readonly share: number }
  /** Sockets of programs that this thread may have, and what is kept for whom. */
  | {
      readonly type: "sockets"
      readonly total: number
      readonly spare: number
      readonly clients: boolean
      readonly programs: boolean
    }
  | { readonly type: "listen"; readonly id: number; readonly spec: ListenSpec }
  /** Gives the port free, `listen.stopped` says when; what is open goes on. */
  | { readonly type: "listen.stop"; readonly id: number }
  | { readonly type: "listen.drain"; readonly id: number; readonly deadline: number }
  | { readonly type: "listen.close"; readonly id: number }
  /** Takes nothing more from other nodes; `served` follows. */
  | { readonly type: "drain"; readonly reason: string }
  | { readonly type: "telemetry"; readonly order: ThreadOrder }
  | { readonly type: "ask"; readonly id: number; readonly question: Question }
  | RelayDown
  /** Everything ends, and the thread with it. */
  | { readonly type: "stop" }

export type FromPlane =
  /** It takes messages. */
  | { readonly type: "ready" }
  /** A change of the view was lost: all of it is to be sent. */
  | { readonly type: "view.need" }
  | { readonly type: "listening"; readonly id: number; readonly address: SocketEnd }
  | {
      readonly type: "listen.failed"
      readonly id: number
      readonly code: ListenErrorCode
      readonly message: string
    }
  | { readonly type: "listen.stopped"; readonly id: number }
  | { readonly type: "listen.drained"; readonly id: number }
  | { readonly type: "session.need"; readonly peer: PeerKey }
  /** Links of sessions with them are open: said every other minute. */
  | { readonly type: "sessions.used"; readonly peers: ReadonlyArray<PeerKey> }
  | { readonly type: "fact"; readonly fact: PlaneFact }
  /** Whether calls can come to an attached program from this thread. */
  | { readonly type: "program.reach"; readonly program: string; readonly reached: boolean }
  /** Calls that were denied here, those of the last second. */
  | { readonly type: "denied"; readonly denials: ReadonlyArray<Denial> }
  /** Processes of another user than the listener is for, which speaks for `as`; once a minute at most. */
  | {
      readonly type: "other_user"
      readonly refused: OtherUser
      readonly as: ServiceName | undefined
    }
  /** After `drain`: nothing of other nodes runs here any more, and all was answered. */
  | { readonly type: "served" }
  | {
      readonly type: "log"
      readonly level: LogLevel
      readonly message: string
      readonly fields: Readonly<Record<string, string | number | undefined>> | undefined
    }
  | { readonly type: "telemetry"; readonly report: ThreadReport }
  | { readonly type: "answer"; readonly id: number; readonly rows: AskedRows }
  | RelayUp
  | { readonly type: "stopped" }
