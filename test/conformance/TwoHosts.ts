/**
 * Two whole request planes in one process, joined by links in memory: a client's socket, the
 * listener and outbound stack of host-a, a link, the inbound stack of host-b (and of host-c), and
 * the sockets of real programs. Time stands still until a test moves it.
 */
import type http from "node:http"
import type net from "node:net"
import { type EndpointView, MeshViewSource } from "../../src/model/MeshView.ts"
import { NodeName, PeerKey } from "../../src/model/Names.ts"
import type { Protocol } from "../../src/model/NodeRecord.ts"
import { MetricRegistry } from "../../src/request/cells/Metrics.ts"
import { Inbound } from "../../src/request/inbound/Inbound.ts"
import { LinkPool } from "../../src/request/link/LinkPool.ts"
import { type HttpListener, openHttpListener } from "../../src/request/listener/HttpListener.ts"
import { openTcpListener, type TcpListener } from "../../src/request/listener/TcpListener.ts"
import { makeOutbound, type Outbound } from "../../src/request/outbound/Outbound.ts"
import type { LinkLimits } from "../../src/request/wire/LinkOptions.ts"
import { defaultPolicy, makePolicy, type PolicyInput } from "../../src/schema/PolicySchema.ts"
import {
  HandTicker,
  type Program,
  payments,
  RecordingObserver,
  startProgram
} from "../../src/testing/InboundFixture.ts"
import { RawClient, turn } from "../../src/testing/ListenerFixture.ts"
import { MemoryNetwork } from "../../src/testing/MemoryNetwork.ts"

export { payments, RawClient, turn }

/** One node's request plane, put together as a node does it. */
export class PlaneHost {
  readonly self: { readonly peer: PeerKey; readonly node: NodeName }
  readonly ticker = new HandTicker()
  readonly observer = new RecordingObserver()
  readonly metrics = new MetricRegistry()
  readonly inbound: Inbound
  readonly links: LinkPool
  readonly outbound: Outbound
  readonly defects: Array<unknown> = []

  constructor(
    name: string,
    network: MemoryNetwork,
    view: MeshViewSource,
    policy: PolicyInput,
    linkLimits: Partial<LinkLimits> = {}
  ) {
    this.self = { peer: peerOf(name), node: NodeName.make(name) }
    const { self, ticker, observer, metrics } = this
    this.inbound = new Inbound({ self, ticker, metrics, observer, callerName: (peer) => peer })
    this.links = new LinkPool({
      transport: network.transport(self.peer),
      ticker,
      node: self.node,
      serve: this.inbound.dispatch,
      addressesOf: () => ["memory"],
      linkLimits,
      onDefect: (error) => this.defects.push(error)
    })
    this.outbound = makeOutbound({
      self,
      view,
      policies: new Map([[payments, makePolicy(policy)]]),
      defaultPolicy,
      ticker,
      metrics,
      observer,
      local: this.inbound.dispatch,
      remote: (peer) => this.links.dispatchTo(peer),
      onDefect: (error) => this.defects.push(error)
    })
    this.links.onUp((peer) => this.outbound.peerUp(peer))
    this.links.onDown((peer) => this.outbound.peerDown(peer))
  }

  /** Exchanges that are not over, wherever this host counts them. */
  get open(): number {
    const links = this.links.status().reduce((sum, row) => sum + row.exchanges + row.serving, 0)
    const calls = this.outbound.services().reduce((sum, { inFlight }) => sum + inFlight, 0)
    const unended = this.observer.seen.filter(({ ends }) => ends.length !== 1).length
    return links + calls + unended + this.inbound.inFlight
  }
}

export const peerOf = (name: string): PeerKey =>
  PeerKey.make(`12D3KooWTestTestTestTestTest${name.at(-1)}`)

export class TwoHosts {
  readonly network = new MemoryNetwork({ defer: setImmediate })
  readonly view = new MeshViewSource()
  readonly a: PlaneHost
  readonly b: PlaneHost
  readonly c: PlaneHost
  readonly programs: Array<Program> = []
  readonly clients: Array<RawClient> = []
  readonly #listeners: Array<{ readonly close: () => void }> = []
  #listener: HttpListener | undefined

  constructor(policy: PolicyInput = {}, linkLimits: Partial<LinkLimits> = {}) {
    const make = (name: string) => new PlaneHost(name, this.network, this.view, policy, linkLimits)
    this.a = make("host-a")
    this.b = make("host-b")
    this.c = make("host-c")
  }

  get hosts(): ReadonlyArray<PlaneHost> {
    return [this.a, this.b, this.c]
  }

  get port(): number {
    if (this.#listener === undefined) throw new Error("not started")
    return this.#listener.address.port
  }

  get connections(): number {
    return this.#listener?.connections ?? 0
  }

  async start(): Promise<this> {
    await Promise.all(this.hosts.map(({ links }) => links.listen()))
    this.#listener = await this.#open(openHttpListener(this.#listenerOptions()))
    return this
  }

  tcp(): Promise<TcpListener> {
    return this.#open(openTcpListener({ ...this.#listenerOptions(), service: payments }))
  }

  /** An HTTP port of `payments` alone. */
  fixed(): Promise<HttpListener> {
    return this.#open(openHttpListener({ ...this.#listenerOptions(), fixedService: payments }))
  }

  /** Starts the program and offers it as `payments` on these hosts (host-b by default). */
  async offer(
    server: net.Server | http.Server,
    protocol: Protocol = "http",
    hosts: ReadonlyArray<PlaneHost> = [this.b]
  ): Promise<Program> {
    const program = await startProgram(server)
    this.programs.push(program)
    for (const { inbound } of hosts) {
      inbound.setServices([
        {
          name: payments,
          protocol,
          endpoints: [{ id: "0", host: "127.0.0.1", port: program.port, weight: 100 }]
        }
      ])
    }
    const offering = this.hosts.filter(({ inbound }) => inbound.endpoints().length > 0)
    this.show(protocol, offering)
    return program
  }

  /** What all hosts see: `payments` on these hosts. */
  show(
    protocol: Protocol,
    hosts: ReadonlyArray<PlaneHost>,
    draining: ReadonlyArray<PlaneHost> = []
  ): void {
    const endpoints = hosts.map((host): EndpointView => {
      const { peer, node } = host.self
      return {
        key: `${peer}/payments/0`,
        peer,
        node,
        zone: undefined,
        endpoint: "0",
        healthy: true,
        draining: draining.includes(host),
        member: "alive",
        weight: 100,
        local: false
      }
    })
    this.view.set(new Map([[payments, { name: payments, protocol, endpoints }]]))
  }

  client(port = this.port): RawClient {
    const client = new RawClient(port)
    this.clients.push(client)
    return client
  }

  cut(other: PlaneHost): void {
    this.network.cut(this.a.self.peer, other.self.peer, new Error("the cable was cut"))
  }

  /** Until no exchange is left anywhere. */
  async idle(): Promise<void> {
    while (this.hosts.some(({ open }) => open > 0)) await turn()
  }

  async stop(): Promise<void> {
    for (const { socket } of this.clients) socket.destroy()
    for (const { close } of this.#listeners) close()
    for (const { inbound, links, outbound } of this.hosts) {
      outbound.close()
      links.stop()
      inbound.close()
    }
    await Promise.all(this.programs.map(({ close }) => close()))
  }

  #listenerOptions() {
    const { self, ticker, metrics, outbound } = this.a
    const log = () => undefined
    return { host: "127.0.0.1", port: 0, self, ticker, metrics, log, dispatch: outbound.dispatch }
  }

  async #open<L extends { readonly close: () => void }>(opening: Promise<L>): Promise<L> {
    const listener = await opening
    this.#listeners.push(listener)
    return listener
  }
}

export const request = (method: string, more = "", body = ""): string =>
  `${method} / HTTP/1.1\r\nhost: payments.mesh\r\n${more}\r\n${body}`

/** Turns the event loop until `value` has been the same for 300 turns. */
export const settled = async (value: () => number): Promise<number> => {
  let seen = value()
  for (let quiet = 0; quiet < 300; quiet++) {
    await turn()
    if (value() === seen) continue
    seen = value()
    quiet = 0
  }
  return seen
}
