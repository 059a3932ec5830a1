/**
 * The end of the way at the endpoint's node. Each call is observed, authorized, given to an
 * endpoint, and observed once more when it is over.
 */
import { contain, type OnDefect, uncontained } from "../../model/Defect.ts"
import { type Call, type Dispatch, noFields } from "../../model/Exchange.ts"
import type { Fault } from "../../model/Fault.ts"
import { IdTable } from "../../model/IdTable.ts"
import type { LocalService } from "../../model/LocalService.ts"
import type { PeerKey, ServiceName } from "../../model/Names.ts"
import { type ExchangeObservation, type Observer, unobserved } from "../../model/Observer.ts"
import { refuse } from "../../model/RefusedExchange.ts"
import type { Ticker } from "../../model/Time.ts"
import { Waiters } from "../../model/Waiters.ts"
import type { MetricRegistry } from "../cells/Metrics.ts"
import type { SocketLane } from "../socket/SocketBudget.ts"
import type { AccessGuard } from "./AccessGuard.ts"
import { InboundExchange, observing } from "./InboundExchange.ts"
import { InboundMetrics } from "./InboundMetrics.ts"
import { type EndpointStatus, LocalEndpoint } from "./LocalEndpoint.ts"
import type { Limits } from "./Places.ts"
import type { Programs } from "./Programs.ts"

export interface InboundOptions {
  readonly self: { readonly peer: PeerKey; readonly node: string }
  readonly ticker: Ticker
  readonly metrics: MetricRegistry
  readonly observer: Observer
  /** What people call the node a call came from. */
  readonly callerName: (peer: PeerKey) => string
  /** May its node speak for whom the call says? A fault says no, and why. Absent: it may. */
  readonly speaksFor?: ((call: Call) => Fault | undefined) | undefined
  /** Who may call what. Absent: everybody may. */
  readonly access?: AccessGuard | undefined
  /** Hears of calls that are denied, by which rule, and what the caller is told. */
  readonly onDenied?: ((call: Call, rule: string, message: string) => void) | undefined
  /** What connections to programs are taken from. Default: without a limit. */
  readonly sockets?: SocketLane | undefined
  /** Hears of what throws: it costs the call it threw in. Default: it is thrown on, as a crash. */
  readonly onDefect?: OnDefect | undefined
  /** What endpoints may have. Default: of this thread alone. */
  readonly limits?: Limits | undefined
  /** Programs in this thread that serve without a port. Default: there are none. */
  readonly programs?: Programs | undefined
}

export const makeInbound = (options: InboundOptions): Inbound => new Inbound(options)

export class Inbound {
  readonly #options: InboundOptions
  readonly #metrics: InboundMetrics
  readonly #onDefect: OnDefect
  #services: ReadonlyMap<ServiceName, ReadonlyArray<LocalEndpoint>> = new Map()
  readonly #idleWaiters = new Waiters()
  /** Exchanges that are not over. */
  readonly #live = new IdTable<InboundExchange>()
  #lastLive = 0
  #draining = false
  /** Where the search for the least loaded endpoint begins, so that ties take turns. */
  #turn = 0

  constructor(options: InboundOptions) {
    this.#options = options
    this.#onDefect = options.onDefect ?? uncontained
    this.#metrics = new InboundMetrics(options.metrics, options.self.peer)
    options.metrics.onCollect(() => {
      for (const endpoint of this.#all()) endpoint.publishGauges()
    })
  }

  /** Exchanges that are not over. */
  get inFlight(): number {
    return this.#live.size
  }

  get draining(): boolean {
    return this.#draining
  }

  /** A property, so that it can be handed on by itself. */
  readonly dispatch: Dispatch = (call, receiver) => {
    const { self, ticker } = this.#options
    const observation = this.#observe(call)
    const chosen = this.#choose(call, observation)
    if (!(chosen instanceof LocalEndpoint)) {
      this.#endRefused(observation, chosen)
      return refuse(receiver, chosen, this.#onDefect)
    }
    chosen.begin()
    // It comes round after 2^32 others, which a tunnel may outlast.
    do this.#lastLive = (this.#lastLive + 1) >>> 0
    while (this.#live.get(this.#lastLive) !== undefined)
    const id = this.#lastLive
    const exchange = new InboundExchange({
      call,
      receiver,
      observation,
      endpoint: chosen.key,
      transport: chosen.transport(call.kind),
      port: chosen.port,
      ticker,
      grpc: this.#isGrpc(call),
      node: self.node,
      onDefect: this.#onDefect,
      onOver: () => {
        chosen.over()
        this.#live.delete(id)
        if (this.#live.size === 0) this.#idleWaiters.wake()
      }
    })
    this.#live.add(id, exchange)
    return exchange
  }

  /** Access rules have changed: what they no longer allow ends now, with what is said of it. */
  recheckAccess(): void {
    const { access } = this.#options
    if (access === undefined) return
    for (const exchange of this.#live.values()) {
      // Whoever was told of one before may have given it up.
      if (exchange.isOver) continue
      const { call, port } = exchange
      const verdict = access.judgeAgain(call, port)
      if (verdict === undefined) continue
      contain(this.#onDefect, "the end of an exchange that rules forbid", () =>
        exchange.deny((sent) => this.#told(call, verdict.rule, access.refusal(call, verdict, sent)))
      )
    }
  }

  #observe(call: Call): ExchangeObservation {
    const { observer, callerName } = this.#options
    try {
      return observer.begin({
        direction: "inbound",
        kind: call.kind,
        service: call.service,
        unknown: !this.#services.has(call.service),
        grpc: this.#isGrpc(call),
        caller: callerName(call.caller),
        identity: call.identity,
        method: call.head?.method ?? "",
        target: call.head?.target ?? "",
        fields: call.head?.fields ?? noFields
      })
    } catch (error) {
      this.#onDefect(error, observing)
      return unobserved(call.head?.fields ?? noFields)
    }
  }

  #isGrpc({ kind, service }: Call): boolean {
    return kind === "http" && this.#services.get(service)?.[0]?.protocol === "grpc"
  }

  #endRefused(observation: ExchangeObservation, { code, message }: Fault): void {
    try {
      observation.end({ kind: "fault", code, message }, 0, 0)
    } catch (error) {
      this.#onDefect(error, observing)
    }
  }

  /** The order of the checks: nothing is said about endpoints to who may not call them. */
  #choose(call: Call, observation: ExchangeObservation): LocalEndpoint | Fault {
    if (this.#draining) {
      return this.#fault("draining", call, `node ${this.#options.self.node} takes nothing new`)
    }
    // What it rests on comes first: for whom the call really is.
    const untrue = this.#options.speaksFor?.(call)
    if (untrue !== undefined) return this.#told(call, "identity", untrue)
    const found = this.#find(call)
    return this.#denied(call, found instanceof LocalEndpoint ? found.port : 0, observation) ?? found
  }

  #denied(call: Call, port: number, observation: ExchangeObservation): Fault | undefined {
    const { access } = this.#options
    const verdict = access?.judge(call, port, this.#services.has(call.service))
    if (verdict === undefined) return undefined
    try {
      observation.decided?.(verdict.decision, verdict.rule)
    } catch (error) {
      this.#onDefect(error, observing)
    }
    if (access === undefined || verdict.decision !== "deny") return undefined
    return this.#told(call, verdict.rule, access.refusal(call, verdict))
  }

  #told(call: Call, rule: string, fault: Fault): Fault {
    contain(this.#onDefect, "who hears of denied calls", () =>
      this.#options.onDenied?.(call, rule, fault.message)
    )
    return fault
  }

  #find(call: Call): LocalEndpoint | Fault {
    const endpoints = this.#services.get(call.service)
    if (endpoints === undefined || endpoints.length === 0) {
      return this.#fault(
        "no_healthy_endpoint",
        call,
        `node ${this.#options.self.node} does not offer ${call.service} (any more)`
      )
    }
    const protocol = endpoints[0]!.protocol
    if (call.kind === "http" && protocol === "tcp") {
      return this.#fault(
        "bad_request",
        call,
        `${call.service} speaks ${protocol}, not HTTP; reach it through an upstream with protocol tcp, or with CONNECT`
      )
    }
    return call.endpoint === undefined
      ? (this.#leastLoaded(endpoints) ??
          this.#fault(
            "no_healthy_endpoint",
            call,
            `no endpoint of ${call.service} on node ${this.#options.self.node} is healthy: ${endpoints[0]!.reason}`
          ))
      : (endpoints.find(({ id }) => id === call.endpoint) ??
          this.#fault(
            "no_healthy_endpoint",
            call,
            `node ${this.#options.self.node} has no endpoint ${JSON.stringify(call.endpoint)} of ${call.service} (any more)`
          ))
  }

  /** Healthy, with the fewest in flight for its weight. */
  #leastLoaded(endpoints: ReadonlyArray<LocalEndpoint>): LocalEndpoint | undefined {
    let best: LocalEndpoint | undefined
    let bestLoad = Number.POSITIVE_INFINITY
    const start = this.#turn++
    for (let i = 0; i < endpoints.length; i++) {
      const endpoint = endpoints[(start + i) % endpoints.length]!
      if (!endpoint.healthy) continue
      const load = (endpoint.inFlight + 1) / endpoint.weight
      if (load < bestLoad) {
        best = endpoint
        bestLoad = load
      }
    }
    return best
  }

  #fault(code: Fault["code"], call: Call, message: string): Fault {
    return { code, message, node: this.#options.self.node, service: call.service, sent: false }
  }

  /**
   * What is offered from now on. Endpoints that are the same keep their connections and their
   * health; those that are gone finish what they have and close.
   */
  setServices(services: ReadonlyArray<LocalService>): void {
    const left = new Set(this.#all())
    const next = new Map<ServiceName, ReadonlyArray<LocalEndpoint>>()
    for (const service of services) {
      const known = this.#services.get(service.name) ?? []
      next.set(
        service.name,
        service.endpoints.map((address) => {
          const same = known.find((endpoint) => endpoint.reaches(service, address))
          if (same === undefined) {
            const made = this.#makeEndpoint(service, address)
            for (const endpoint of known) made.inheritHealth(endpoint)
            return made
          }
          left.delete(same)
          same.adopt(address)
          return same
        })
      )
    }
    this.#services = next
    for (const endpoint of left) {
      endpoint.retire()
      const replaced = next.get(endpoint.service)?.some(({ id }) => id === endpoint.id) ?? false
      if (!replaced) this.#metrics.remove(endpoint.service, endpoint.id)
    }
  }

  #makeEndpoint(service: LocalService, address: LocalService["endpoints"][number]): LocalEndpoint {
    const { limits, programs, self, sockets, ticker } = this.#options
    const metrics = this.#metrics
    return new LocalEndpoint({
      ...{ service, address, node: self.node, ticker, metrics, sockets, limits, programs },
      onDefect: this.#onDefect
    })
  }

  /** What the health checker found. Ignored for an endpoint that is gone or has no check. */
  setHealth(service: ServiceName, id: string, healthy: boolean, reason: string): void {
    const endpoint = this.#services.get(service)?.find((candidate) => candidate.id === id)
    if (endpoint?.checked !== true) return
    endpoint.healthy = healthy
    endpoint.reason = reason
  }

  endpoints(): ReadonlyArray<EndpointStatus> {
    return this.#all().map((endpoint) => endpoint.status())
  }

  #all(): Array<LocalEndpoint> {
    return [...this.#services.values()].flat()
  }

  /** From now on every new call gets `draining`; what is in flight goes on. */
  drain(): void {
    this.#draining = true
  }

  /** Calls back as soon as nothing is in flight, at once if so now; returns how to stop waiting. */
  whenIdle(then: () => void): () => void {
    const stop = this.#idleWaiters.add(then)
    if (this.#live.size === 0) this.#idleWaiters.wake()
    return stop
  }

  /** Closes the connections nobody uses. After this nothing can be served. */
  close(): void {
    this.setServices([])
  }
}
