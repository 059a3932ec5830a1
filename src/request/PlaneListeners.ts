/** The ports that a request thread has open, by the numbers the mesh thread gave them. */

import { maxPrograms, programPath } from "../model/AttachedProgram.ts"
import { serviceCaller } from "../model/Caller.ts"
import { contain, type OnDefect, uncontained } from "../model/Defect.ts"
import type { Dispatch } from "../model/Exchange.ts"
import type { Log } from "../model/Log.ts"
import { type ServiceName, serviceOfAuthority } from "../model/Names.ts"
import type { Protocol } from "../model/NodeRecord.ts"
import type { SocketEnd } from "../model/Relay.ts"
import type { Ticker } from "../model/Time.ts"
import type { MetricRegistry } from "./cells/Metrics.ts"
import { maxProgramLinks, type Programs } from "./inbound/Programs.ts"
import { MeshPort, type MeshPortCounts } from "./link/MeshPort.ts"
import { MeshPortError } from "./link/MeshPortError.ts"
import type { SessionTransport } from "./link/SessionTransport.ts"
import { parseTcpAddress, tcpAddressOf } from "./link/TcpAddress.ts"
import type { ForeignRelay } from "./listener/ForeignRelay.ts"
import { openHttpListener } from "./listener/HttpListener.ts"
import { ListenError, makeListenError } from "./listener/ListenError.ts"
import { openProgramListener } from "./listener/ProgramListener.ts"
import type { OtherUser } from "./listener/Refusals.ts"
import { openTcpListener } from "./listener/TcpListener.ts"
import type { FromPlane, ListenSpec, PlaneSetup, ToPlane } from "./PlaneMessages.ts"
import type { SocketLane } from "./socket/SocketBudget.ts"

export interface PlaneListenersOptions {
  readonly setup: PlaneSetup
  readonly ticker: Ticker
  readonly metrics: MetricRegistry
  readonly log: Log
  /** Hears of what throws: it costs the connection it threw on. Default: it is thrown on. */
  readonly onDefect?: OnDefect | undefined
  readonly dispatch: Dispatch
  readonly programs: Programs
  /** As the mesh knows a service; undefined: it does not. */
  readonly protocolOf: (service: ServiceName) => Protocol | undefined
  readonly sockets: SocketLane
  readonly transport: SessionTransport
  readonly relay: ForeignRelay
  readonly post: (message: FromPlane) => void
}

interface Port {
  /** Of a port for other nodes. */
  readonly counts?: () => MeshPortCounts
  readonly address: SocketEnd
  readonly stop: () => void
  readonly drain: (deadline: number) => Promise<void>
  readonly close: () => void
}

type Listen = Extract<ToPlane, { readonly id: number; readonly type: `listen${string}` }>

/** Where its ports throw. */
const where = "a port of a request thread"

/**
 * Connections of clients that a listener has at most, on the whole host. Each thread has its part of them: the
 * system spreads connections evenly over the threads that listen, unlike calls, of which a link brings many.
 */
const connectionsPerListener = 10_000

export class PlaneListeners {
  readonly #options: PlaneListenersOptions
  readonly #onDefect: OnDefect
  readonly #ports = new Map<number, Port>()
  /** Being opened; true: it is not wanted any more. */
  readonly #opening = new Map<number, { unwanted: boolean }>()

  constructor(options: PlaneListenersOptions) {
    this.#options = options
    this.#onDefect = options.onDefect ?? uncontained
  }

  receive(message: Listen): void {
    const { id } = message
    switch (message.type) {
      case "listen":
        this.#watch(this.#open(id, message.spec))
        return
      case "listen.stop":
        this.#unwant(id)
        contain(this.#onDefect, where, () => this.#ports.get(id)?.stop())
        // The system has it back when this turn's sockets are closed.
        setImmediate(() => this.#options.post({ type: "listen.stopped", id }))
        return
      case "listen.drain":
        this.#watch(this.#drain(id, message.deadline))
        return
      case "listen.close":
        this.#close(id)
    }
  }

  /** Of the ports for other nodes that are open. */
  *meshPorts(): Iterable<MeshPortCounts> {
    for (const { counts } of this.#ports.values()) if (counts !== undefined) yield counts()
  }

  /** Gives all of them free; what is open goes on. */
  stop(): void {
    for (const id of this.#opening.keys()) this.#unwant(id)
    for (const port of this.#ports.values()) port.stop()
  }

  close(): void {
    for (const id of [...this.#ports.keys(), ...this.#opening.keys()]) {
      contain(this.#onDefect, where, () => this.#close(id))
    }
  }

  /** Nobody waits for it here: who asked for it hears by message. */
  #watch(done: Promise<void>): void {
    done.catch((error: unknown) => this.#onDefect(error, where))
  }

  async #open(id: number, spec: ListenSpec): Promise<void> {
    const { post } = this.#options
    const opening = { unwanted: false }
    this.#opening.set(id, opening)
    try {
      const port = await this.#openPort(id, spec)
      if (opening.unwanted) port.close()
      else {
        this.#ports.set(id, port)
        post({ type: "listening", id, address: port.address })
      }
    } catch (cause) {
      const error = listenErrorOf(spec, cause)
      post({ type: "listen.failed", id, code: error.code, message: error.message })
    } finally {
      this.#opening.delete(id)
    }
  }

  #openPort(id: number, spec: ListenSpec): Promise<Port> {
    const { dispatch, log, metrics, post, setup, sockets, ticker } = this.#options
    const { host, port } = spec
    if (spec.kind === "mesh") return this.#openMeshPort(id, spec)
    if (spec.kind === "programs") return this.#openProgramPort(spec)
    if (spec.unix !== undefined && !this.#isMine(spec.unix.path)) {
      return Promise.resolve(elsewhere(spec))
    }
    const common = {
      onDefect: this.#onDefect,
      ...{ host, port, dispatch, log, metrics, sockets, ticker, self: setup.self },
      resolve: (authority: string) =>
        serviceOfAuthority(authority) ?? serviceOfAuthority(authority, setup.suffix),
      identity: spec.as === undefined ? undefined : serviceCaller(spec.as),
      uid: spec.uid,
      onOtherUser: (refused: OtherUser) => post({ type: "other_user", refused, as: spec.as }),
      reusePort: setup.sharePorts,
      unix: spec.unix,
      maxConnections:
        spec.unix === undefined
          ? Math.ceil(connectionsPerListener / setup.threads)
          : connectionsPerListener
    }
    switch (spec.kind) {
      case "proxy":
        return openHttpListener({ ...common, grpcWeb: spec.grpcWeb })
      case "http":
        return openHttpListener({
          ...common,
          fixedService: spec.service,
          remoteNames: spec.remoteNames,
          names: spec.names,
          grpcWeb: spec.grpcWeb,
          detect:
            spec.detect === undefined
              ? undefined
              : {
                  wait: spec.detect,
                  isBytes: () => this.#options.protocolOf(spec.service) === "tcp"
                }
        })
      case "tcp":
        return openTcpListener({ ...common, service: spec.service })
    }
  }

  /** Of several threads one listens at a path, and not at every path the same. */
  #isMine(path: string): boolean {
    const { index, sharePorts, threads } = this.#options.setup
    if (!sharePorts) return true
    return Buffer.from(path).reduce((sum, byte) => sum + byte, 0) % threads === index
  }

  async #openProgramPort(spec: Extract<ListenSpec, { readonly kind: "programs" }>): Promise<Port> {
    const { dispatch, log, metrics, programs, setup, sockets, ticker } = this.#options
    const { index } = setup
    const path = spec.unix === undefined ? undefined : programPath(spec.unix.path, index)
    const port = await openProgramListener({
      ...{ dispatch, log, metrics, programs, sockets, ticker, self: setup.self, thread: index },
      host: path === undefined ? spec.host : `unix:${path}`,
      port: spec.port,
      unix: spec.unix && { ...spec.unix, path: programPath(spec.unix.path, index) },
      reusePort: setup.sharePorts && path === undefined,
      maxConnections: maxPrograms * maxProgramLinks,
      onDefect: this.#onDefect
    })
    // Of all threads together it is what was asked for.
    return path === undefined ? port : { ...port, address: { host: spec.host, port: spec.port } }
  }

  async #openMeshPort(id: number, { host, port }: SocketEnd): Promise<Port> {
    const { log, relay, setup, ticker, transport } = this.#options
    const opened = await MeshPort.open({
      listen: [tcpAddressOf(host, port)],
      reusePort: setup.sharePorts,
      ticker,
      onLink: (connection) => transport.accept(connection),
      foreign: (connection) => relay.add(id, connection),
      turnsAway: relay.turnsAway,
      onDefect: this.#onDefect,
      onTrouble: ({ message }) =>
        log("error", `the port for other nodes could not accept a connection: ${message}`)
    })
    const [bound] = opened.addresses
    const address = bound === undefined ? undefined : parseTcpAddress(bound)
    const close = () => this.#watch(opened.close())
    return {
      address: address === undefined ? { host, port } : { host: address.host, port: address.port },
      counts: () => opened.counts,
      stop: close,
      drain: () => opened.close(),
      close
    }
  }

  async #drain(id: number, deadline: number): Promise<void> {
    this.#unwant(id)
    try {
      await this.#ports.get(id)?.drain(deadline)
    } finally {
      this.#options.post({ type: "listen.drained", id })
    }
  }

  /** One that is still being opened, by a thread that has just begun, is closed when it is there. */
  #unwant(id: number): void {
    const opening = this.#opening.get(id)
    if (opening !== undefined) opening.unwanted = true
  }

  #close(id: number): void {
    this.#unwant(id)
    const port = this.#ports.get(id)
    this.#ports.delete(id)
    port?.close()
  }
}

/** What another thread has open. */
const elsewhere = ({ host, port }: SocketEnd): Port => ({
  address: { host, port },
  stop: () => undefined,
  drain: () => Promise.resolve(),
  close: () => undefined
})

const listenErrorOf = ({ host, port }: SocketEnd, cause: unknown): ListenError => {
  if (cause instanceof ListenError) return cause
  const under = cause instanceof MeshPortError ? cause.cause : cause
  return makeListenError(host, port, under instanceof Error ? under : new Error(String(cause)))
}
